// dataset.hpp: reads token sequences from PREFIX.bin / PREFIX.idx (Megatron's indexed format) and PREFIX.json (what
// prepared them).
//
// The tokens of all documents are one line of num_tokens; sequence q is tokens [q*T, q*T + T] of it (T + 1 of them:
// inputs and targets shifted by one). Sample i is sequence permute(i mod n) with the permutation keyed by (seed, i div
// n): a pure function, so a run is resumed exactly on any number of nodes with nothing stored. Sample index of (step,
// microbatch, sequence) = (step * M + microbatch) * S + sequence. Several sets: mixture.hpp says which of them sample i
// is taken from; each is shuffled as if it were alone. Thread: all const calls from any thread. The files are mapped;
// they must not be changed while open.
#pragma once

#include "api/source.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace regroup {

// Where a sample's tokens lie.
struct SamplePlace {
  std::string prefix;                                        // of its set
  std::int64_t data_epoch = 0;                               // how often the whole set was drawn before
  std::int64_t sequence = 0, first_token = 0, document = 0;  // of the set; the document that holds the first token
};

class Dataset {
 public:
  // Checks the index against the tokens' file (magic, version, sizes, offsets), the record in PREFIX.json if there is
  // one (sizes, checksum of .idx), and that neither a token nor the tokenizer's vocabulary reaches beyond vocab_size.
  // Does not read all of .bin where there is PREFIX.sums, against which fill checks what it reads. kBadInput,
  // kNotFound, kCorrupt, each naming the file.
  static Result<std::unique_ptr<Dataset>> open(const std::string& prefix, std::int64_t vocab_size,
                                               std::int64_t sequence_length, std::uint64_t seed);
  // The sets of a job, mixed by their weights, made with one tokenizer. One set: the same as open(prefix).
  static Result<std::unique_ptr<Dataset>> open(const std::vector<DataSource>& sources, std::int64_t vocab_size,
                                               std::int64_t sequence_length, std::uint64_t seed);
  virtual ~Dataset() = default;

  [[nodiscard]] virtual std::int64_t num_tokens() const = 0;
  [[nodiscard]] virtual std::int64_t num_documents() const = 0;
  [[nodiscard]] virtual std::int64_t num_sequences() const = 0;  // n, at least 1; of a mixture: of all sets
  // tokens[sequence_length + 1] of sample_index >= 0. kCorrupt: the bytes read are not those that were prepared; names
  // the file and where.
  [[nodiscard]] virtual Result<void> fill(std::int64_t sample_index, std::span<std::int64_t> tokens) const = 0;
  // Where documents begin among the inputs (the first sequence_length tokens) of that sample: ascending positions, the
  // first one 0 whether a document begins there or goes on. So attention that must not cross documents stays within
  // [starts[k], starts[k + 1]).
  virtual void document_starts(std::int64_t sample_index, std::vector<std::int32_t>& starts) const = 0;
  [[nodiscard]] virtual SamplePlace where(std::int64_t sample_index) const = 0;
  // Hex xxh3 of .idx and .json (of .bin too where there is no .json): pins the data of a job. Of a mixture: of all
  // digests and shares.
  [[nodiscard]] virtual std::string digest() const = 0;
  // What made the tokens, as PREFIX.json says: its kind and, where it has a file, that file's checksum. "" where
  // nothing says. The sets of a mixture that say it say the same.
  [[nodiscard]] virtual std::string tokenizer() const = 0;
  // Reads all of .bin: its checksum against PREFIX.json, every piece against PREFIX.sums, every token against
  // vocab_size. kCorrupt.
  [[nodiscard]] virtual Result<void> verify() const = 0;
};

// kBadInput, naming both, where both say what made their tokens and it is not the same.
Result<void> check_same_tokenizer(const std::string& name, const Dataset& set, const std::string& other_name,
                                  const Dataset& other);

// The whole sequence of one data epoch: a bijection of [0, n) onto itself, keyed. Pure; n >= 1, index in [0, n).
std::uint64_t permute(std::uint64_t index, std::uint64_t n, std::uint64_t seed, std::uint64_t data_epoch);

}  // namespace regroup
