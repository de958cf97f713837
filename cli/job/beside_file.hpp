// beside_file.hpp: files that a job file names: their paths are relative to it.
#pragma once

#include "base/result.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace regroup::cli {

inline std::string absolute_from(const std::filesystem::path& job_file, const std::string& path) {
  return (std::filesystem::absolute(job_file).parent_path() / path).lexically_normal().string();
}

inline Result<std::string> read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{Code::kNotFound, "cannot read " + path.string()};
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace regroup::cli
