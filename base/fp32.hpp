// fp32.hpp: numbers of a job that are computed with in fp32. Pure.
#pragma once

#include <string>

namespace regroup {

// "" where fp32 holds the number: 0, or normal, or its negative. Else what is wrong, to stand behind its name: it would
// be 0 there, or infinite.
std::string not_in_fp32(double value);

}  // namespace regroup
