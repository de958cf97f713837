// prepare.hpp: text -> PREFIX.bin, PREFIX.idx (Megatron's indexed format), PREFIX.sums (a checksum of each 64 KiB of
// .bin) and PREFIX.json (what made them, counts, checksums); the same for PREFIX-validation where asked.
//
// Every document ends with the tokenizer's end. A set's four files appear complete or not at all: each is written
// beside its place, synced and renamed, the .json last; that one is the commit. The bytes written are a function of
// inputs and options, never of the number of threads. Memory: a few MiB a thread, whatever the inputs' size.
#pragma once

#include "base/result.hpp"
#include "moe/data/prepare/documents.hpp"
#include "moe/data/prepare/set_writer.hpp"
#include "moe/data/prepare/tokenizer.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace regroup {

struct PrepareProgress {
  std::int64_t bytes_done = 0, bytes_total = 0;  // of the inputs on disk; total 0 = unknown
  std::int64_t num_documents = 0, num_tokens = 0;
};

struct PrepareOptions {
  std::vector<std::string> inputs;  // see list_inputs
  std::string prefix;               // of the output
  // no inputs, wherever they are found; nor is what the run itself writes, or its tokenizer
  std::vector<std::string> no_inputs;
  std::shared_ptr<const Tokenizer> tokenizer;  // none = bytes
  TextFormat format = TextFormat::kAuto;
  std::string field = "text";  // of JSONL
  // share of the documents, chosen by a hash of their text, that goes to PREFIX-validation; 0 = none
  double validation = 0;
  // broken UTF-8, broken JSON, damaged gzip or zstd: leave the document (or the rest of that file) out; else an error
  // at once
  bool skip_bad = false;
  bool refuse_empty = false;                             // a document without text is an error too; else it is left out
  bool any_bytes = false;                                // text need not be UTF-8 (bytes only)
  int threads = 0;                                       // 0 = one a core
  std::function<void(const PrepareProgress&)> progress;  // after every MiB or so
  // one sentence for each document left out, with file and line: all broken ones, the first few empty ones; and for
  // the first few inputs of which something is worth saying
  std::function<void(const std::string&)> complain;
};

struct PreparedData {
  MadeSet train;
  std::optional<MadeSet> validation;
  std::int64_t num_empty = 0;   // documents without a token, left out
  std::int64_t num_bad = 0;     // broken ones, left out
  std::int64_t text_bytes = 0;  // of the documents kept
};

// kNotFound, kBadInput (what is broken, with file and line; nothing to learn from; or files of
// PREFIX that something else wrote), kUnavailable (cannot read or
// write: which file, why). After an error no file of PREFIX is new.
Result<PreparedData> prepare(const PrepareOptions& options);

// The texts of the inputs in order, one document or part of a document a call, until `take` returns false. For what
// needs text but no tokens. Broken ones as above.
Result<void> for_each_text(const PrepareOptions& options, const std::function<bool(std::string_view)>& take);

}  // namespace regroup
