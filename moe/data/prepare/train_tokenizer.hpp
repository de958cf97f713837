// train_tokenizer.hpp: text -> a SentencePiece model of the kind that Mixtral has: BPE, bytes for what it does not
// know, digits apart, spaces kept.
#pragma once

#include "moe/data/prepare/prepare.hpp"

namespace regroup {

struct TrainTokenizerOptions {
  PrepareOptions input;  // inputs, format, field, skip_bad, complain, threads
  std::string out;       // the .model
  std::int64_t vocab_size = 32000;
  bool unigram = false;                // else BPE
  double character_coverage = 0.9995;  // share of all characters that get pieces of their own; bytes spell the rest
  std::int64_t max_lines = 1'000'000;  // that many lines, drawn evenly, are learned from: bounds memory and time
};

struct TrainedTokenizer {
  std::int64_t num_lines = 0, num_learned = 0;
  std::int64_t vocab_size = 0;
};

// The same inputs give the same model. kBadInput (also: too little text for that many pieces), kNotFound, kUnavailable;
// `out` is new only on success.
Result<TrainedTokenizer> train_tokenizer(const TrainTokenizerOptions& options);

}  // namespace regroup
