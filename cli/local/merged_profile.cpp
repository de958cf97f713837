#include "cli/local/merged_profile.hpp"

#include "base/json_fields.hpp"
#include "cli/job/beside_file.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

namespace regroup::cli {

namespace fs = std::filesystem;

namespace {

std::vector<fs::path> profile_directories(const std::string& dir) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& node : fs::directory_iterator(dir, error))
    if (fs::is_directory(node.path() / "profile")) found.push_back(node.path() / "profile");
  return found;
}

}  // namespace

void remove_profiles(const std::string& dir) {
  std::error_code ignored;
  for (const fs::path& directory : profile_directories(dir)) fs::remove_all(directory, ignored);
  fs::remove(dir + "/profile.json", ignored);
}

Result<int> merge_profiles(const std::string& dir) {
  std::vector<fs::path> files;
  for (const fs::path& directory : profile_directories(dir))
    for (const auto& file : fs::directory_iterator(directory))
      if (file.path().extension() == ".json") files.push_back(file.path());
  std::sort(files.begin(), files.end());
  if (files.empty()) return 0;
  nlohmann::ordered_json all{{"displayTimeUnit", "ms"}, {"traceEvents", nlohmann::ordered_json::array()}};
  for (const fs::path& file : files) {
    const auto text = read_text(file);
    if (!text) return text.error();
    const auto one = json::parse_text<nlohmann::ordered_json>(*text);
    if (!one) return Error{Code::kCorrupt, file.string() + ": " + one.error().context};
    if (!one->is_object() || !one->contains("traceEvents"))
      return Error{Code::kCorrupt, file.string() + " is no trace"};
    for (const auto& event : (*one)["traceEvents"]) all["traceEvents"].push_back(event);
  }
  std::ofstream out(dir + "/profile.json");
  out << all.dump() << "\n";
  out.close();
  if (!out) return Error{Code::kUnavailable, "cannot write " + dir + "/profile.json"};
  return static_cast<int>(files.size());
}

}  // namespace regroup::cli
