// file_plan.hpp: where every element of the training state lies in a checkpoint's files. Pure; a function of the
// model's shape alone.
//
// Master weights: model-0000i-of-0000n.safetensors, Hugging Face (v4) names, readable by transformers as they are.
// Moments: optimizer-0000i-of-0000n.safetensors, NAME.exp_avg and NAME.exp_avg_sq. Padding elements of a unit are not
// stored. The slices of an expert share the Hugging Face tensors of its weights: they have rows of w1 and w3, and
// columns of w2. In the moments' files the slices of w2 lie one behind the other, as one tensor [slices, hidden,
// intermediate / slices]. Units lie in their order; a file gets whole units, and whole experts, until the next would
// exceed `max_file_bytes`. Order: equal shapes give equal plans on every machine: owners write their ranges of one file
// without talking.
#pragma once

#include "checkpoint/core/manifest.hpp"
#include "checkpoint/core/part.hpp"
#include "checkpoint/core/safetensors_header.hpp"
#include "layout/units.hpp"

#include <map>
#include <string>
#include <vector>

namespace regroup::checkpoint {

struct PlannedFile {
  std::string name;
  std::string header;      // the file's first bytes
  std::int64_t bytes = 0;  // of the whole file
  std::vector<FileTensor> tensors;
  bool weights = false;  // of the Hugging Face part
};

// `bytes` of file `file` from `offset` hold the elements of one array of a unit from `element` (counted from the unit's
// start). Of a strided range (a slice's columns of w2): `bytes` bytes of the slice from its `from`th on, counted row
// after row; its run of the first row starts at `offset`.
struct FileRange {
  int file = 0;
  std::int64_t offset = 0;
  std::int64_t bytes = 0;
  std::int64_t element = 0;
  FileRows rows = {};
  std::int64_t from = 0;
};

class FilePlan {
 public:
  // kBadInput for a shape that contradicts itself.
  static Result<FilePlan> make(const ModelShape& shape, std::int64_t max_file_bytes = 4'000'000'000);

  [[nodiscard]] const ModelShape& shape() const { return shape_; }
  [[nodiscard]] const std::vector<Unit>& units() const { return units_; }
  [[nodiscard]] const std::vector<PlannedFile>& files() const { return files_; }
  // of all tensors: three arrays without padding
  [[nodiscard]] std::int64_t state_bytes() const { return state_bytes_; }

  // Where these blocks of one array lie, ascending in `element`; neighbours are joined where file and memory are both
  // contiguous.
  [[nodiscard]] std::vector<FileRange> ranges(int unit, Interval blocks, StateArray array) const;

  // Name and file of every weight, for model.safetensors.index.json.
  [[nodiscard]] std::map<std::string, std::string> weight_map() const;

 private:
  struct Spot {  // of one tensor of a unit, in one array
    int file = 0;
    std::int64_t offset = 0;
    FileRows rows;
  };
  ModelShape shape_;
  std::vector<Unit> units_;
  std::vector<PlannedFile> files_;
  std::vector<std::vector<Spot>> spots_[kStateArrays];  // [array][unit][tensor]
  std::int64_t state_bytes_ = 0;
};

}  // namespace regroup::checkpoint
