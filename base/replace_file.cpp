#include "base/replace_file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace regroup {

Result<void> replace_file(const std::string& path, const std::string& text) {
  const std::string unfinished = path + ".tmp";
  std::ofstream out(unfinished, std::ios::binary);
  out << text;
  out.close();
  if (!out.good() || std::rename(unfinished.c_str(), path.c_str()) != 0)
    return Error{Code::kUnavailable, "cannot write " + path + ": " + std::strerror(errno)};
  return {};
}

}  // namespace regroup
