// check.hpp: broken invariants end the process, in release too; a supervisor starts it again and state is elsewhere.
//
//   CHECK(rank < num_ranks, "rank", rank, "of", num_ranks);
#pragma once

#include <sstream>
#include <string>

namespace regroup {

[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& values);

template <class... Values>
std::string values_to_string(const Values&... values) {
  std::ostringstream out;
  ((out << ' ' << values), ...);
  return out.str();
}

}  // namespace regroup

#define REGROUP_CHECK(condition, ...)                                                                    \
  do {                                                                                                   \
    if (!(condition)) [[unlikely]]                                                                       \
      ::regroup::check_failed(__FILE__, __LINE__, #condition, ::regroup::values_to_string(__VA_ARGS__)); \
  } while (false)

// LibTorch's headers define a CHECK of their own: a file that includes ATen says REGROUP_CHECK.
#ifndef CHECK
#define CHECK REGROUP_CHECK
#endif
