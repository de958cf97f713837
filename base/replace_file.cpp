#include "base/replace_file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace regroup {

Result<void> replace_file(const std::string& path, const std::string& text) {
  const std::string unfinished = path + ".tmp";
  std::FILE* out = std::fopen(unfinished.c_str(), "wbe");
  int problem = out == nullptr ? errno : 0;
  if (out != nullptr && std::fwrite(text.data(), 1, text.size(), out) != text.size()) problem = errno;
  if (out != nullptr && std::fclose(out) != 0 && problem == 0) problem = errno;
  if (problem == 0 && std::rename(unfinished.c_str(), path.c_str()) != 0) problem = errno;
  if (problem == 0) return {};
  if (out != nullptr) std::remove(unfinished.c_str());
  return Error{Code::kUnavailable, "cannot write " + path + ": " + std::strerror(problem)};
}

}  // namespace regroup
