// inputs.hpp: what of the file system a list of names means.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace regroup {

struct Input {
  std::string path;        // "-" is standard input
  std::int64_t bytes = 0;  // on disk; 0 = unknown
};

// Files, directories (every regular file below), globs and "-", in the order given; what a directory or a glob holds is
// sorted by path. kNotFound, kBadInput.
Result<std::vector<Input>> list_inputs(const std::vector<std::string>& names);

}  // namespace regroup
