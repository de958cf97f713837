// yaml_section.hpp: reads one mapping of a YAML file key by key and then refuses what nobody asked for. Private to
// cli/.
//
// Errors are thrown as Refused inside the loader that owns the file (yaml-cpp throws anyway) and become a Result at its
// border.
#pragma once

#include "base/result.hpp"
#include "base/words.hpp"

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace regroup::cli {

struct Refused {
  std::string what;
};

// The known word nearest to `word` by edit distance, or "" if none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& known);

// The one document of a file's text; `file` is for errors. Throws Refused where there is a second one.
YAML::Node only_document(const std::string& file, const std::string& text);

class YamlSection {
 public:
  // `path` as the user would say it: "" for the file's root, "optimizer", "events[3]". `node` must be a mapping without
  // a key twice.
  YamlSection(std::string file, std::string path, const YAML::Node& node);

  // Leave `value` as it is where the key is absent. Asking makes the key known.
  void read(const char* key, std::string& value);
  void read(const char* key, std::int64_t& value);
  void read(const char* key, int& value);
  void read(const char* key, std::uint64_t& value);
  void read(const char* key, double& value);
  void read(const char* key, bool& value);
  void read_bytes(const char* key, std::int64_t& value);  // 1073741824, "512MiB", "2GiB", "80GB"
  template <class Enum, std::size_t N>
  void read_word(const char* key, const Words<Enum, N>& words, Enum& value) {
    value = *words.find(one_of(key, words(value), {words.words.begin(), words.words.end()}));
  }
  std::optional<YAML::Node> find(const char* key);  // any kind
  YamlSection section(const char* key);             // empty mapping where absent
  template <class T>
  void require(const char* key, T& value) {
    if (!find(key)) refuse_missing(key);
    read(key, value);
  }

  // Says so of a key that is misspelt, where there is one, rather than that the right one is missing.
  [[noreturn]] void refuse_missing(const char* key, const std::string& what = "is missing") const;
  // After the last read: throws for the first key nobody asked for.
  void refuse_unknown() const;
  [[noreturn]] void refuse(const std::string& key, const std::string& what) const;

 private:
  template <class T>
  void read_as(const char* key, T& value, const char* expected);
  template <class T>
  void read_whole(const char* key, T& value, const char* expected);
  std::string one_of(const char* key, const std::string& otherwise, const std::vector<std::string>& words);
  [[nodiscard]] std::string where(const std::string& key) const;
  [[nodiscard]] std::string where(const std::string& key, const YAML::Mark& mark) const;

  std::string file_, path_;
  YAML::Node node_;
  std::vector<std::string> known_;
};

}  // namespace regroup::cli
