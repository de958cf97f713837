#include "checkpoint/io/companions.hpp"

#include "base/hex.hpp"
#include "checkpoint/core/hugging_face.hpp"
#include "checkpoint/io/extent_checksums.hpp"
#include "checkpoint/io/posix_file.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <span>
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

namespace {

using OneOfThem = bool (*)(std::string_view file_name);

Result<std::vector<std::string>> names_in(const std::string& directory, OneOfThem is_one) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    if (const std::string name = it->path().filename().string(); is_one(name)) names.push_back(name);
  if (error) return file_error("list", directory, error.value());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

Result<std::vector<std::string>> companion_sums(const std::string& directory) {
  auto names = names_in(directory, [](std::string_view name) { return name == kConfigName || is_companion(name); });
  if (!names) return names.error();
  std::vector<std::string> sums;
  for (const std::string& name : *names) {
    const auto text = read_small_file(directory + "/" + name);
    if (!text) return text.error();
    sums.push_back(name + " " + to_hex(checksum(std::as_bytes(std::span(*text)))));
  }
  return sums;
}

std::vector<std::string> copy_companions(const std::string& from, const std::string& to, bool with_tokenizer) {
  const auto names = names_in(from, is_companion);
  if (!names) return {names.error().context};
  std::vector<std::string> problems;
  for (const std::string& name : *names) {
    if (!with_tokenizer && name != "generation_config.json") continue;
    const auto text = read_small_file(from + "/" + name);
    const Result<void> copied = text ? place_durable_file(to + "/" + name, *text) : Result<void>(text.error());
    if (!copied) problems.push_back(copied.error().context);
  }
  return problems;
}

}  // namespace regroup::checkpoint
