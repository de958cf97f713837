#include "checkpoint/io/companions.hpp"

#include "checkpoint/io/posix_file.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

namespace regroup::checkpoint {

bool is_companion(std::string_view file_name) {
  // The names that transformers' tokenizers and generation read.
  static constexpr std::array<std::string_view, 12> kNames{"tokenizer.json",
                                                           "tokenizer.model",
                                                           "tokenizer_config.json",
                                                           "special_tokens_map.json",
                                                           "added_tokens.json",
                                                           "vocab.json",
                                                           "merges.txt",
                                                           "vocab.txt",
                                                           "spiece.model",
                                                           "chat_template.json",
                                                           "chat_template.jinja",
                                                           "generation_config.json"};
  return std::find(kNames.begin(), kNames.end(), file_name) != kNames.end();
}

bool has_tokenizer(const std::string& directory) {
  std::error_code ignored;
  for (const char* name : {"tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt"})
    if (std::filesystem::exists(directory + "/" + name, ignored)) return true;
  return false;
}

std::vector<std::string> copy_companions(const std::string& from, const std::string& to) {
  std::vector<std::string> problems;
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(from, error), end; !error && it != end; it.increment(error))
    if (const std::string name = it->path().filename().string(); is_companion(name)) names.push_back(name);
  if (error) problems.push_back(file_error("list", from, error.value()).context);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const auto text = read_small_file(from + "/" + name);
    const Result<void> copied = text ? replace_file(to + "/" + name, *text) : Result<void>(text.error());
    if (!copied) problems.push_back(copied.error().context);
  }
  return problems;
}

}  // namespace regroup::checkpoint
