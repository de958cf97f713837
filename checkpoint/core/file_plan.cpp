#include "checkpoint/core/file_plan.hpp"

#include "base/check.hpp"

#include <algorithm>
#include <cstdio>

namespace regroup::checkpoint {
namespace {

constexpr std::int64_t kFloatBytes = 4;
constexpr const char* kSuffix[kStateArrays] = {"", ".exp_avg", ".exp_avg_sq"};

std::string file_name(const char* stem, std::size_t index, std::size_t count) {
  char text[64];
  std::snprintf(text, sizeof text, "%s-%05zu-of-%05zu.safetensors", stem, index + 1, count);
  return text;
}

std::int64_t num_elements(const std::vector<std::int64_t>& shape) {
  std::int64_t elements = 1;
  for (const std::int64_t size : shape) elements *= size;
  return elements;
}

// Runs of consecutive units, one a file. The first slice of an expert stands for all.
std::vector<std::vector<int>> split_units(const std::vector<Unit>& units, int arrays, std::int64_t max_file_bytes) {
  std::vector<std::vector<int>> runs;
  std::int64_t bytes = 0;
  for (const Unit& unit : units) {
    if (unit.slice > 0) continue;
    std::int64_t more = 0;
    for (const TensorSpec& tensor : unit.tensors) more += num_elements(tensor.whole.shape) * kFloatBytes * arrays;
    if (runs.empty() || (bytes + more > max_file_bytes && bytes > 0)) {
      runs.emplace_back();
      bytes = 0;
    }
    runs.back().push_back(unit.index);
    bytes += more;
  }
  return runs;
}

PlannedFile plan_file(std::string name, const std::vector<Unit>& units, const std::vector<int>& run,
                      const std::vector<StateArray>& arrays) {
  PlannedFile file;
  file.name = std::move(name);
  for (int unit : run)
    for (StateArray array : arrays)
      for (const TensorSpec& tensor : units[static_cast<std::size_t>(unit)].tensors) {
        FileTensor entry;
        entry.name = tensor.name + kSuffix[static_cast<int>(array)];
        entry.shape = tensor.whole.shape;
        if (array != StateArray::kMaster && !tensor.whole.is_one_run()) {
          entry.shape = tensor.shape;
          entry.shape.insert(entry.shape.begin(), tensor.whole.stride / tensor.whole.columns);
        }
        file.tensors.push_back(std::move(entry));
      }
  place_tensors(file.tensors);
  file.header = write_safetensors_header(file.tensors);
  file.bytes = static_cast<std::int64_t>(file.header.size()) + (file.tensors.empty() ? 0 : file.tensors.back().end);
  return file;
}

}  // namespace

Result<FilePlan> FilePlan::make(const ModelShape& shape, std::int64_t max_file_bytes) {
  if (auto ok = check_shape(shape); !ok) return ok.error();
  FilePlan plan;
  plan.shape_ = shape;
  plan.units_ = make_units(shape);
  const auto weight_runs = split_units(plan.units_, 1, max_file_bytes);
  for (std::size_t i = 0; i < weight_runs.size(); ++i) {
    plan.files_.push_back(
        plan_file(file_name("model", i, weight_runs.size()), plan.units_, weight_runs[i], {StateArray::kMaster}));
    plan.files_.back().weights = true;
  }
  const auto moment_runs = split_units(plan.units_, 2, max_file_bytes);
  for (std::size_t i = 0; i < moment_runs.size(); ++i)
    plan.files_.push_back(plan_file(file_name("optimizer", i, moment_runs.size()), plan.units_, moment_runs[i],
                                    {StateArray::kFirstMoment, StateArray::kSecondMoment}));

  std::map<std::string, Spot> by_name;
  for (std::size_t f = 0; f < plan.files_.size(); ++f)
    for (const FileTensor& tensor : plan.files_[f].tensors)
      by_name[tensor.name] = {
          static_cast<int>(f), static_cast<std::int64_t>(plan.files_[f].header.size()) + tensor.begin, {}};
  for (int array = 0; array < kStateArrays; ++array) {
    plan.spots_[array].resize(plan.units_.size());
    for (const Unit& unit : plan.units_)
      for (const TensorSpec& tensor : unit.tensors) {
        Spot spot = by_name.at(tensor.name + kSuffix[array]);
        const bool columns = !tensor.whole.is_one_run();
        if (columns && array == static_cast<int>(StateArray::kMaster))
          spot.rows = {tensor.whole.columns * kFloatBytes, tensor.whole.stride * kFloatBytes};
        spot.offset += (columns && !spot.rows ? unit.slice * tensor.numel : tensor.whole.first) * kFloatBytes;
        plan.spots_[array][static_cast<std::size_t>(unit.index)].push_back(spot);
        plan.state_bytes_ += tensor.numel * kFloatBytes;
      }
  }
  return plan;
}

std::vector<FileRange> FilePlan::ranges(int unit_index, Interval blocks, StateArray array) const {
  CHECK(unit_index >= 0 && unit_index < static_cast<int>(units_.size()) && blocks.lo >= 0 && blocks.lo <= blocks.hi &&
            blocks.hi <= kBlocksPerUnit,
        "unit", unit_index, "blocks", blocks.lo, blocks.hi);
  const Unit& unit = units_[static_cast<std::size_t>(unit_index)];
  const auto& spots = spots_[static_cast<int>(array)][static_cast<std::size_t>(unit_index)];
  const std::int64_t lo = blocks.lo * unit.block_elements;
  const std::int64_t hi = blocks.hi * unit.block_elements;
  std::vector<FileRange> out;
  for (std::size_t t = 0; t < unit.tensors.size(); ++t) {
    const TensorSpec& tensor = unit.tensors[t];
    const std::int64_t first = std::max(lo, tensor.offset);
    const std::int64_t end = std::min(hi, tensor.offset + tensor.numel);
    if (first >= end) continue;
    const std::int64_t within = (first - tensor.offset) * kFloatBytes, bytes = (end - first) * kFloatBytes;
    if (spots[t].rows) {
      out.push_back({spots[t].file, spots[t].offset, bytes, first, spots[t].rows, within});
      continue;
    }
    FileRange range{spots[t].file, spots[t].offset + within, bytes, first, {}, 0};
    if (!out.empty() && !out.back().rows && out.back().file == range.file &&
        out.back().offset + out.back().bytes == range.offset &&
        out.back().element + out.back().bytes / kFloatBytes == range.element) {
      out.back().bytes += range.bytes;
    } else {
      out.push_back(range);
    }
  }
  return out;
}

std::map<std::string, std::string> FilePlan::weight_map() const {
  std::map<std::string, std::string> map;
  for (const PlannedFile& file : files_)
    if (file.weights)
      for (const FileTensor& tensor : file.tensors) map[tensor.name] = file.name;
  return map;
}

}  // namespace regroup::checkpoint
