// dataset.hpp: reads token sequences from PREFIX.bin / PREFIX.idx (Megatron's indexed format) and PREFIX.json (what prepared them).
//
// The tokens of all documents are one line of num_tokens; sequence q is tokens [q*T, q*T + T] of it (T + 1 of them: inputs and targets shifted by one).
// Sample i is sequence permute(i mod n) with the permutation keyed by (seed, i div n): a pure function, so a run is resumed exactly on any number of nodes
// with nothing stored. Sample index of (step, microbatch, sequence) = (step * M + microbatch) * S + sequence.
// Thread: all const calls from any thread. The files are mapped; they must not be changed while open.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace regroup {

class Dataset {
 public:
  // Checks the index against the tokens' file (magic, version, sizes, offsets), the record in PREFIX.json if there is one (sizes, checksum of .idx), and that no token
  // reaches vocab_size. Does not read all of .bin where PREFIX.json says its largest token: see verify. kBadInput, kNotFound, kCorrupt, each naming the file.
  static Result<std::unique_ptr<Dataset>> open(const std::string& prefix, std::int64_t vocab_size, std::int64_t sequence_length, std::uint64_t seed);
  virtual ~Dataset() = default;

  [[nodiscard]] virtual std::int64_t num_tokens() const = 0;
  [[nodiscard]] virtual std::int64_t num_documents() const = 0;
  [[nodiscard]] virtual std::int64_t num_sequences() const = 0;   // n, at least 1
  // tokens[sequence_length + 1] of sample_index >= 0.
  virtual void fill(std::int64_t sample_index, std::span<std::int64_t> tokens) const = 0;
  // Hex xxh3 of .idx and .json: pins the data of a job.
  [[nodiscard]] virtual std::string digest() const = 0;
  // Reads all of .bin: its checksum against PREFIX.json, every token against vocab_size. kCorrupt.
  [[nodiscard]] virtual Result<void> verify() const = 0;
};

// The whole sequence of one data epoch: a bijection of [0, n) onto itself, keyed. Pure; n >= 1, index in [0, n).
std::uint64_t permute(std::uint64_t index, std::uint64_t n, std::uint64_t seed, std::uint64_t data_epoch);

}  // namespace regroup
