// beside_file.hpp: files that a job file names: their paths are relative to it.
#pragma once

#include "base/result.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace regroup::cli {

inline std::string absolute_from(const std::filesystem::path& job_file, const std::string& path) {
  return (std::filesystem::absolute(job_file).parent_path() / path).lexically_normal().string();
}

// kNotFound, with the system's words; a directory, or a named pipe, which may be waited for without end, is none.
inline Result<std::string> read_text(const std::filesystem::path& path) {
  const auto fail = [&](const std::string& why) {
    return Error{Code::kNotFound, "cannot read " + path.string() + ": " + why};
  };
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::is_directory(status)) return fail("it is a directory");
  const bool of_the_shell = path.string().starts_with("/dev/") || path.string().starts_with("/proc/");
  if (std::filesystem::is_fifo(status) && !of_the_shell) return fail("it is a named pipe; write it to a file first");
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(errno != 0 ? std::strerror(errno) : "it cannot be opened");
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace regroup::cli
