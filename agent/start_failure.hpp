// start_failure.hpp: why a worker's program ends before it says a word: libraries that are missing or of another
// version, which only the loader knows, and which it says on standard error.
#pragma once

#include <string>
#include <vector>

namespace regroup::agent {

// Starts `program --version` as workers are started; the last line of what it says where that fails, too, else "".
// Takes as long as that takes, ten seconds at most.
std::string why_it_cannot_start(const std::string& program, const std::vector<std::string>& environment);

}  // namespace regroup::agent
