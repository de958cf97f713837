// prepare.hpp: plain text -> PREFIX.bin, PREFIX.idx (Megatron's indexed format, u16 tokens) and PREFIX.json (what made them, counts, checksums).
//
// Tokenizer "bytes": token = byte value, every document ends with kEndOfSequence. A document is a whole input, or each line of it.
// The three files appear complete or not at all: each is written beside its place, synced and renamed, the .json last; that one is the commit.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace regroup {

inline constexpr std::int64_t kEndOfSequence = 256;  // on disk: frozen

struct PrepareOptions {
  std::vector<std::string> inputs;   // files; directories (every regular file below, sorted by path); "-" is standard input
  std::string prefix;                // of the output
  bool split_lines = false;          // each line that is not empty is a document of its own (its line break is dropped)
  std::function<void(std::int64_t bytes_done, std::int64_t bytes_total)> progress;  // total 0 = unknown; called every few MB
};

struct Prepared {
  std::int64_t num_documents = 0;
  std::int64_t num_tokens = 0;
  std::int64_t num_empty = 0;        // documents without a byte, left out
  std::string bin_xxh3, idx_xxh3;
};

// kNotFound, kBadInput (nothing to learn from), kUnavailable (cannot write: which file, why). After an error no file of PREFIX is new.
Result<Prepared> prepare(const PrepareOptions& options);

}  // namespace regroup
