// set_record.hpp: PREFIX.json, as far as a reader needs it: what made a set's tokens, and what its files must be.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace regroup {

constexpr int kPreparedFormat = 1;  // `format` in PREFIX.json: frozen
constexpr const char* kTokenTypes[] = {"uint16", "int32"};

struct SetRecord {
  std::int64_t num_tokens = -1;
  std::int64_t num_documents = -1;  // -1 = not said
  std::int64_t max_token = -1;
  std::int64_t vocab_size = -1;                           // of the tokenizer; -1 = not said
  std::string bin_xxh3, idx_xxh3, sums_xxh3;              // sums_xxh3: empty without .sums
  std::string tokenizer, tokenizer_path, tokenizer_xxh3;  // kind, file, its checksum; "" = not said or none
  std::string token_type;                                 // "" = not said
  [[nodiscard]] std::string tokenizer_name() const {
    return tokenizer + (tokenizer_xxh3.empty() ? "" : " " + tokenizer_xxh3);
  }
};

// kCorrupt names `path` and the field: of another format, of the wrong kind, out of range.
Result<SetRecord> read_set_record(std::string_view text, const std::string& path);

}  // namespace regroup
