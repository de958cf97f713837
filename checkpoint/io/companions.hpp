// companions.hpp: the small files that lie beside a model's weights and belong to it: the tokenizer's, and
// generation_config.json. Blocking.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace regroup::checkpoint {

// Tokenizer files (tokenizer.json, tokenizer.model, vocab.json, merges.txt, chat templates ...) and
// generation_config.json; not config.json, which says what the weights are, and which each save writes anew.
bool is_companion(std::string_view file_name);

// Does the directory hold a tokenizer (tokenizer.json, tokenizer.model, spiece.model, vocab.json, vocab.txt)?
bool has_tokenizer(const std::string& directory);

// "NAME XXH3-64 of its bytes" of config.json and each companion, sorted: what is compared between nodes that each have
// the directory.
Result<std::vector<std::string>> companion_sums(const std::string& directory);

// Copies all companions of `from`, or those that are not the tokenizer's, each durable and whole; replaces those that
// `to` has. Returns what could not be copied, one sentence each: not an error, because a model without its tokenizer is
// still a model.
std::vector<std::string> copy_companions(const std::string& from, const std::string& to, bool with_tokenizer = true);

}  // namespace regroup::checkpoint
