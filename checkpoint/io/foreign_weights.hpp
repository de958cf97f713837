// foreign_weights.hpp: reads the weights of a model directory that transformers 4 or 5 wrote, as blocks of units.
// Blocking; one thread at a time, several readers may share a directory.
//
// One or many safetensors files, F32, BF16 or F16; expert by expert (the names of transformers 4, which 5 writes too)
// or fused (as 5 holds them in memory). Only the byte ranges that are asked for are read. Values become fp32 exactly.
// Errors: as in foreign_files.hpp; kBadInput too when tensors and shape contradict each other (names file, tensor,
// expected and found), or for a weight that is not finite; `digest` finds a tied model whose two tables differ.
#pragma once

#include "base/result.hpp"
#include "checkpoint/io/posix_file.hpp"
#include "layout/interval.hpp"
#include "layout/units.hpp"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace regroup::checkpoint {

struct ForeignFiles;

class ForeignWeights {
 public:
  // Does the directory hold weights? Then what lies beside them and is not read, one sentence each; else an error that
  // says what lies there instead.
  static Result<std::vector<std::string>> look(const std::string& directory);

  // Reads the headers and finds every tensor of the shape; refuses one that is missing, of another size or type, or
  // that the shape has no place for.
  static Result<std::unique_ptr<ForeignWeights>> open(const std::string& directory, const ModelShape& shape);
  ~ForeignWeights();
  ForeignWeights(const ForeignWeights&) = delete;
  ForeignWeights& operator=(const ForeignWeights&) = delete;

  // `into`: blocks.size() * block_elements floats; padding becomes 0.
  Result<void> read(int unit, Interval blocks, std::span<float> into);

  // Reads everything: the weights digest (docs/design.md), equal to what a worker says of the same weights. Bytes done
  // and in all; false stops with kNewerEpoch.
  Result<std::string> digest(const std::function<bool(std::int64_t done, std::int64_t total)>& progress = {});

  [[nodiscard]] std::int64_t bytes_read() const { return bytes_read_; }  // of tensors

 private:
  struct Source;
  ForeignWeights(std::string directory, const ModelShape& shape, ForeignFiles files);
  Result<void> find_sources();
  Result<Source> find_source(const Unit& unit, const TensorSpec& tensor);
  Result<void> read_run(const Source& source, std::int64_t stored_element, std::span<float> into);
  Result<void> check_tied_head(std::span<const float> table);
  Result<void> check_finite(const Source& source, const TensorSpec& tensor, std::int64_t first,
                            std::span<const float> values) const;

  std::string directory_;
  ModelShape shape_;
  std::vector<Unit> units_;
  std::unique_ptr<ForeignFiles> files_;
  std::vector<FileHandle> handles_;
  std::vector<std::vector<Source>> sources_;  // [unit][tensor]
  std::vector<std::byte> buffer_;
  std::int64_t bytes_read_ = 0;
};

}  // namespace regroup::checkpoint
