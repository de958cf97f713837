#include "moe/data/prepare/inputs.hpp"

#include "moe/data/prepare/known_formats.hpp"

#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <system_error>
#include <utility>

namespace regroup {
namespace {

namespace fs = std::filesystem;

std::int64_t size_of(const fs::path& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

Result<std::vector<Input>> list_directory(const std::string& name, InputList& list) {
  std::error_code error;
  std::vector<Input> found;
  std::string looking_into = name;
  for (fs::recursive_directory_iterator at(name, error), end; !error && at != end; at.increment(error)) {
    std::error_code of_entry;
    const std::string path = at->path().string();
    const bool goes_into = at->is_directory(of_entry) && !at->is_symlink(of_entry);
    looking_into = goes_into ? path : at->path().parent_path().string();
    if (at->is_regular_file(of_entry)) {
      found.push_back({path, size_of(at->path())});
    } else if (at->is_symlink(of_entry) && at->is_directory(of_entry)) {
      list.not_followed.push_back(path);
    } else if (at->is_symlink(of_entry) && !at->exists(of_entry)) {
      return Error{Code::kBadInput, path + " is a link that leads nowhere: what it stood for is missing"};
    } else if (!at->is_directory(of_entry)) {
      list.no_files.push_back(path);
    }
  }
  if (error) return Error{Code::kBadInput, "cannot read the directory " + looking_into + ": " + error.message()};
  std::sort(found.begin(), found.end(), [](const Input& a, const Input& b) { return a.path < b.path; });
  std::sort(list.not_followed.begin(), list.not_followed.end());
  std::sort(list.no_files.begin(), list.no_files.end());
  return found;
}

thread_local std::string glob_failure;  // glob hands nothing of ours to its callback

Result<std::vector<std::string>> matches(const std::string& pattern) {
  glob_t found{};
  glob_failure.clear();
  const auto note = [](const char* path, int error) {
    glob_failure = std::string("cannot read the directory ") + path + ": " + std::generic_category().message(error);
    return 1;
  };
  const int status = ::glob(pattern.c_str(), GLOB_NOSORT, note, &found);
  std::vector<std::string> paths;
  if (status == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (!glob_failure.empty()) return Error{Code::kBadInput, glob_failure};
  if (status != 0 && status != GLOB_NOMATCH)
    return Error{Code::kBadInput, "cannot look for files that match " + pattern};
  if (paths.empty()) return Error{Code::kNotFound, "no file matches " + pattern};
  std::sort(paths.begin(), paths.end());  // by bytes: GLOB's own order depends on the locale
  return paths;
}

// One that the shell made of <(...) is fed already.
bool is_named_pipe(const std::string& path) {
  std::error_code error;
  return fs::is_fifo(path, error) && !path.starts_with("/dev/") && !path.starts_with("/proc/");
}

// The files of a run, however they are reached.
class OwnFiles {
 public:
  explicit OwnFiles(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      struct stat status {};
      if (::stat(path.c_str(), &status) == 0) files_.emplace(status.st_dev, status.st_ino);
      std::error_code error;
      const fs::path absolute = fs::absolute(path, error);
      names_[fs::weakly_canonical(absolute.parent_path(), error)].push_back(absolute.filename().string());
    }
  }
  [[nodiscard]] bool holds(const std::string& path) const {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0 && files_.contains({status.st_dev, status.st_ino})) return true;
    std::error_code error;
    const fs::path canonical = fs::weakly_canonical(path, error);
    const auto names = names_.find(canonical.parent_path());
    return names != names_.end() &&
           std::any_of(names->second.begin(), names->second.end(), [&](const std::string& name) {
             const std::string file = canonical.filename().string();
             return file == name || file.starts_with(name + ".tmp");
           });
  }

 private:
  std::set<std::pair<dev_t, ino_t>> files_;
  std::map<fs::path, std::vector<std::string>> names_;  // by directory
};

bool is_of_prepared_data(const fs::path& path) {
  const std::string ending = path.extension().string();
  return (ending == ".bin" || ending == ".sums" || ending == ".idx" || ending == ".json") &&
         is_prepared_data((path.parent_path() / path.stem()).string());
}

}  // namespace

bool is_prepared_data(const std::string& prefix) {
  char begin[9] = {};
  std::ifstream index(prefix + ".idx", std::ios::binary);
  index.read(begin, sizeof begin);
  return index && format_of_bytes({begin, sizeof begin}).refused.find("index of prepared data") != std::string::npos;
}

Result<InputList> list_inputs(const std::vector<std::string>& names, const std::vector<std::string>& own) {
  const OwnFiles own_files(own);
  InputList list;
  const auto add = [&](std::vector<Input> found, bool is_named) {
    for (Input& input : found)
      if (input.path != "-" && (own_files.holds(input.path) || (!is_named && is_of_prepared_data(input.path)))) {
        list.left_out.push_back(input.path);
      } else {
        list.inputs.push_back(std::move(input));
      }
  };
  for (const std::string& name : names) {
    std::vector<std::string> paths{name};
    std::error_code error;
    const bool is_named = name == "-" || fs::exists(name, error);
    if (!is_named) {
      if (name.find_first_of("*?[") == std::string::npos) return Error{Code::kNotFound, "there is no input " + name};
      auto matching = matches(name);
      if (!matching) return matching.error();
      paths = std::move(*matching);
    }
    for (const std::string& path : paths) {
      if (path != "-" && fs::is_directory(path, error)) {
        auto found = list_directory(path, list);
        if (!found) return found.error();
        add(std::move(*found), false);
      } else if (is_named_pipe(path)) {
        return Error{Code::kBadInput,
                     path + " is a named pipe, which may be waited for without end: read it with `- < " + path + "`"};
      } else {
        add({{path, path == "-" ? 0 : size_of(path)}}, is_named);
      }
    }
  }
  if (list.inputs.empty() && !list.left_out.empty())
    return Error{Code::kBadInput, "nothing is left of the inputs without " + list.left_out.front() +
                                      (list.left_out.size() > 1 ? " and others" : "") +
                                      ", which this command writes, or which are prepared data: name the text"};
  return list;
}

}  // namespace regroup
