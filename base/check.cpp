#include "base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace regroup {

void check_failed(const char* file, int line, const char* condition, const std::string& values) {
  std::fprintf(stderr, "CHECK failed at %s:%d: %s%s%s\n", file, line, condition, values.empty() ? "" : ":",
               values.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace regroup
