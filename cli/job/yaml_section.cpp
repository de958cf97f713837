#include "cli/job/yaml_section.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace regroup::cli {
namespace {

std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

std::string nearest(const std::string& word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 2) + 1;
  for (const auto& candidate : known) {
    std::size_t distance = edit_distance(word, candidate);
    // "lr_min" for "min_learning_rate" shares little, "layers" for "num_hidden_layers" is contained in it.
    if (word.size() >= 4 && candidate.find(word) != std::string::npos) distance = std::min<std::size_t>(distance, 1);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

YAML::Node only_document(const std::string& file, const std::string& text) {
  const std::vector<YAML::Node> documents = YAML::LoadAll(text);
  if (documents.size() > 1) throw Refused{file + ": holds a second document (behind a line `---`); one is read"};
  return documents.empty() ? YAML::Node() : documents.front();
}

YamlSection::YamlSection(std::string file, std::string path, const YAML::Node& node)
    : file_(std::move(file)), path_(std::move(path)), node_(node) {
  if (!node_.IsMap()) {
    throw Refused{file_ + (node_.Mark().is_null() ? "" : ":" + std::to_string(node_.Mark().line + 1)) + ": " +
                  (path_.empty() ? "the file" : path_) + " must be a mapping (key: value)"};
  }
  std::set<std::string> seen;
  for (const auto& entry : node_) {
    if (!entry.first.IsScalar()) throw Refused{where("", entry.first.Mark()) + " has a key that is not a word"};
    if (!seen.insert(entry.first.Scalar()).second) refuse(entry.first.Scalar(), "is given twice");
  }
}

std::string YamlSection::where(const std::string& key) const {
  YAML::Mark mark = node_.Mark();
  for (const auto& entry : node_)
    if (entry.first.IsScalar() && entry.first.Scalar() == key) mark = entry.first.Mark();
  return where(key, mark);
}

std::string YamlSection::where(const std::string& key, const YAML::Mark& mark) const {
  std::string text = file_;
  if (!mark.is_null()) text += ":" + std::to_string(mark.line + 1);
  return text + ": " + path_ + (path_.empty() || key.empty() ? "" : ".") + key;
}

void YamlSection::refuse(const std::string& key, const std::string& what) const {
  throw Refused{where(key) + " " + what};
}

std::optional<YAML::Node> YamlSection::find(const char* key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
  for (const auto& entry : node_)
    if (entry.first.Scalar() == key) return entry.second;
  return std::nullopt;
}

template <class T>
void YamlSection::read_as(const char* key, T& value, const char* expected) {
  const auto node = find(key);
  if (!node) return;
  if (!node->IsScalar()) refuse(key, std::string("must be ") + expected);
  if (!YAML::convert<T>::decode(*node, value)) refuse(key, "is '" + node->Scalar() + "', must be " + expected);
}

// yaml-cpp takes 010 for octal, others take it for 10.
template <class T>
void YamlSection::read_whole(const char* key, T& value, const char* expected) {
  if (const auto node = find(key); node && node->IsScalar()) {
    const std::string digits =
        node->Scalar().substr(std::min(node->Scalar().find_first_not_of("+-"), node->Scalar().size()));
    if (digits.size() > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9')
      refuse(key, "is '" + node->Scalar() + "', must be " + expected + " without a leading 0");
  }
  read_as(key, value, expected);
}

void YamlSection::read(const char* key, std::string& value) {
  read_as(key, value, "a text");
  if (value.find('\0') != std::string::npos) refuse(key, "holds a NUL (\\0), which no name or path has");
}
void YamlSection::read(const char* key, std::int64_t& value) { read_whole(key, value, "a whole number"); }
void YamlSection::read(const char* key, int& value) { read_whole(key, value, "a whole number"); }
void YamlSection::read(const char* key, std::uint64_t& value) {
  read_whole(key, value, "a whole number that is not negative");
}
void YamlSection::read(const char* key, bool& value) { read_as(key, value, "true or false"); }
void YamlSection::read(const char* key, double& value) {
  read_as(key, value, "a number");
  if (!std::isfinite(value)) refuse(key, "must be a finite number");
}

void YamlSection::read_bytes(const char* key, std::int64_t& value) {
  const auto node = find(key);
  if (!node) return;
  const char* expected = "must be a number of bytes such as 1073741824, 512MiB or 2GiB";
  if (!node->IsScalar()) refuse(key, expected);
  const std::string text = node->Scalar();
  std::size_t end = 0;
  double number = -1;
  try {
    number = std::stod(text, &end);
  } catch (const std::exception&) {
    refuse(key, "is '" + text + "', " + expected);
  }
  std::string unit = text.substr(end);
  unit.erase(std::remove(unit.begin(), unit.end(), ' '), unit.end());
  const std::pair<const char*, double> units[] = {{"", 1},      {"B", 1},        {"kB", 1e3}, {"KiB", 1024},
                                                  {"MB", 1e6},  {"MiB", 0x1p20}, {"GB", 1e9}, {"GiB", 0x1p30},
                                                  {"TB", 1e12}, {"TiB", 0x1p40}};
  for (const auto& [name, factor] : units) {
    if (unit == name && number >= 0 && number * factor < 0x1p62) {
      value = static_cast<std::int64_t>(number * factor);
      return;
    }
  }
  refuse(key, "is '" + text + "', " + expected);
}

std::string YamlSection::one_of(const char* key, const std::string& otherwise, const std::vector<std::string>& words) {
  std::string word = otherwise;
  read(key, word);
  if (std::find(words.begin(), words.end(), word) == words.end()) {
    const std::string near = nearest(word, words);
    refuse(key,
           "is '" + word + "', must be one of " + joined(words) + (near.empty() ? "" : "; did you mean " + near + "?"));
  }
  return word;
}

YamlSection YamlSection::section(const char* key) {
  const auto node = find(key);
  return {file_, path_.empty() ? key : path_ + "." + key, node ? *node : YAML::Node(YAML::NodeType::Map)};
}

void YamlSection::refuse_missing(const char* key, const std::string& what) const {
  for (const auto& entry : node_) {
    const std::string& word = entry.first.Scalar();
    if (std::find(known_.begin(), known_.end(), word) == known_.end() && !nearest(word, {key}).empty())
      refuse(word, std::string("is not a key here; did you mean ") + key + "?");
  }
  refuse(key, what);
}

void YamlSection::refuse_unknown() const {
  for (const auto& entry : node_) {
    const std::string& key = entry.first.Scalar();
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const std::string near = nearest(key, known_);
    refuse(key, "is not a key here; " + (near.empty() ? "known are " + joined(known_) : "did you mean " + near + "?"));
  }
}

}  // namespace regroup::cli
