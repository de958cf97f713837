// version.hpp: the version of this build, which CMake's project() alone states (base/version.cpp.in).
#pragma once

#include <string>

namespace regroup {

std::string version();                                 // "1.2.3"
std::string version_line(const std::string& program);  // "regroup-agent 1.2.3", as --version prints it

}  // namespace regroup
