#include "moe/data/prepare/inputs.hpp"

#include <glob.h>

#include <algorithm>
#include <filesystem>

namespace regroup {
namespace {

namespace fs = std::filesystem;

std::int64_t size_of(const fs::path& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

Result<void> list_directory(const std::string& name, std::vector<Input>& inputs) {
  std::error_code error;
  std::vector<Input> found;
  for (fs::recursive_directory_iterator at(name, error), end; !error && at != end; at.increment(error))
    if (at->is_regular_file(error)) found.push_back({at->path().string(), size_of(at->path())});
  if (error) return Error{Code::kBadInput, "cannot read the directory " + name + ": " + error.message()};
  std::sort(found.begin(), found.end(), [](const Input& a, const Input& b) { return a.path < b.path; });
  inputs.insert(inputs.end(), found.begin(), found.end());
  return {};
}

std::vector<std::string> matches(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0)
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  std::sort(paths.begin(), paths.end());  // by bytes: GLOB's own order depends on the locale
  return paths;
}

}  // namespace

Result<std::vector<Input>> list_inputs(const std::vector<std::string>& names) {
  std::vector<Input> inputs;
  for (const std::string& name : names) {
    std::vector<std::string> paths{name};
    std::error_code error;
    if (name != "-" && !fs::exists(name, error)) {
      if (name.find_first_of("*?[") == std::string::npos) return Error{Code::kNotFound, "there is no input " + name};
      paths = matches(name);
      if (paths.empty()) return Error{Code::kNotFound, "no file matches " + name};
    }
    for (const std::string& path : paths) {
      if (path != "-" && fs::is_directory(path, error)) {
        if (auto listed = list_directory(path, inputs); !listed) return listed.error();
      } else {
        inputs.push_back({path, path == "-" ? 0 : size_of(path)});
      }
    }
  }
  return inputs;
}

}  // namespace regroup
