#include "checkpoint/io/foreign_weights.hpp"

#include "base/check.hpp"
#include "base/digest.hpp"
#include "checkpoint/io/foreign_files.hpp"
#include "checkpoint/io/stored_floats.hpp"
#include "checkpoint/io/weight_files.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace regroup::checkpoint {

struct ForeignWeights::Source {
  const StoredTensor* stored = nullptr;
  TensorCut cut;  // where a unit's tensor lies in the stored one
};

namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

std::string text_of(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

constexpr const char* kHead = "lm_head.weight";

// Buffers that older versions stored, and a copy of the table, which `digest` compares.
bool means_nothing(const std::string& name, const ModelShape& shape) {
  return name.ends_with(".rotary_emb.inv_freq") || (shape.tie_word_embeddings && name == kHead);
}

// What the files hold in place of the family's first expert.
std::string other_family(const ForeignFiles& files, const ArchitectureInfo& meant) {
  for (const ArchitectureInfo& info : architectures()) {
    const std::string expert = std::string("model.layers.0.") + info.experts + "0" + info.w1;
    if (std::string_view(info.experts) != meant.experts && files.tensors.contains(expert))
      return "; the files hold " + expert + ", as those of a " + info.model_type + " model do";
  }
  return {};
}

}  // namespace

ForeignWeights::ForeignWeights(std::string directory, const ModelShape& shape, ForeignFiles files)
    : directory_(std::move(directory)),
      shape_(shape),
      units_(make_units(shape)),
      files_(std::make_unique<ForeignFiles>(std::move(files))),
      buffer_(kBufferBytes) {}

ForeignWeights::~ForeignWeights() = default;

Result<std::vector<std::string>> ForeignWeights::look(const std::string& directory) {
  auto chosen = choose_weight_files(directory);
  if (!chosen) return chosen.error();
  return std::move(chosen->notes);
}

Result<std::unique_ptr<ForeignWeights>> ForeignWeights::open(const std::string& directory, const ModelShape& shape) {
  if (auto ok = check_shape(shape); !ok) return ok.error().within(directory + "/config.json");
  auto files = open_foreign_files(directory);
  if (!files) return files.error();
  std::unique_ptr<ForeignWeights> weights(new ForeignWeights(directory, shape, std::move(*files)));
  for (const ForeignFile& file : weights->files_->files) {
    auto handle = open_file(file.path, O_RDONLY);
    if (!handle) return handle.error();
    weights->handles_.push_back(std::move(*handle));
  }
  if (auto ok = weights->find_sources(); !ok) return ok.error();
  return weights;
}

Result<void> ForeignWeights::find_sources() {
  std::set<const StoredTensor*> used;
  for (const Unit& unit : units_) {
    auto& sources = sources_.emplace_back();
    for (const TensorSpec& tensor : unit.tensors) {
      auto source = find_source(unit, tensor);
      if (!source) return source.error();
      used.insert(source->stored);
      sources.push_back(*source);
    }
  }
  for (const auto& [name, stored] : files_->tensors)
    if (!used.contains(&stored) && !means_nothing(name, shape_))
      return Error{Code::kBadInput, files_->files[static_cast<std::size_t>(stored.file)].path + " holds " + name + " " +
                                        text_of(stored.shape) + ", for which " + directory_ +
                                        "/config.json has no place"};
  return {};
}

Result<ForeignWeights::Source> ForeignWeights::find_source(const Unit& unit, const TensorSpec& tensor) {
  const ArchitectureInfo& names = info_of(shape_.architecture);
  const std::int64_t h = shape_.hidden_size, f = shape_.intermediate_size, experts = shape_.num_local_experts;
  const std::string layer = "model.layers." + std::to_string(unit.layer) + ".mlp.";
  const bool is_down = unit.is_expert() && tensor.name.ends_with(names.w2);
  const bool is_up = unit.is_expert() && tensor.name.ends_with(names.w3);
  Source source;
  source.cut = tensor.whole;
  std::vector<std::int64_t> wanted = tensor.whole.shape;

  auto found = files_->tensors.find(tensor.name);
  if (found == files_->tensors.end() && unit.is_expert()) {
    found = files_->tensors.find(layer + (is_down ? "experts.down_proj" : "experts.gate_up_proj"));
    wanted = is_down ? std::vector<std::int64_t>{experts, h, f} : std::vector<std::int64_t>{experts, 2 * f, h};
    source.cut.first += is_down ? unit.expert * h * f : (2 * unit.expert + (is_up ? 1 : 0)) * f * h;
  }
  if (found == files_->tensors.end() && tensor.name.ends_with(names.gate))
    found = files_->tensors.find(layer + "gate.weight");
  if (found == files_->tensors.end() && unit.kind == UnitKind::kEmbedding && shape_.tie_word_embeddings)
    found = files_->tensors.find(kHead);
  if (found == files_->tensors.end())
    return Error{Code::kBadInput, directory_ + " holds no tensor " + tensor.name +
                                      ", which the job's model asks for with shape " + text_of(tensor.whole.shape) +
                                      other_family(*files_, names)};
  source.stored = &found->second;
  const std::string where = files_->files[static_cast<std::size_t>(source.stored->file)].path + ": " + found->first;
  if (source.stored->shape != wanted)
    return Error{Code::kBadInput, where + " has the shape " + text_of(source.stored->shape) +
                                      ", but the job's model (config.json, and what the job file says instead) asks " +
                                      "for " + text_of(wanted)};
  if (bytes_of(source.stored->dtype) == 0)
    return Error{Code::kBadInput, where + " is of type " + source.stored->dtype + "; F32, BF16 and F16 are read"};
  return source;
}

Result<void> ForeignWeights::read_run(const Source& source, std::int64_t stored_element, std::span<float> into) {
  const std::int64_t size = bytes_of(source.stored->dtype);
  const auto file = static_cast<std::size_t>(source.stored->file);
  while (!into.empty()) {
    const std::size_t count = std::min(into.size(), kBufferBytes / static_cast<std::size_t>(size));
    const std::span<std::byte> bytes(buffer_.data(), count * static_cast<std::size_t>(size));
    if (auto ok = read_at(handles_[file].fd(), files_->files[file].path, bytes,
                          source.stored->offset + stored_element * size);
        !ok)
      return ok;
    widen(source.stored->dtype, bytes.data(), into.first(count));
    bytes_read_ += static_cast<std::int64_t>(bytes.size());
    stored_element += static_cast<std::int64_t>(count);
    into = into.subspan(count);
  }
  return {};
}

Result<void> ForeignWeights::check_finite(const Source& source, const TensorSpec& tensor, std::int64_t first,
                                          std::span<const float> values) const {
  const auto bad = std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  if (bad == values.end()) return {};
  return Error{Code::kBadInput, files_->files[static_cast<std::size_t>(source.stored->file)].path + ": " + tensor.name +
                                    " holds " + std::to_string(*bad) + " at element " +
                                    std::to_string(first + (bad - values.begin())) + "; weights must be finite"};
}

Result<void> ForeignWeights::read(int unit_index, Interval blocks, std::span<float> into) {
  const Unit& unit = units_.at(static_cast<std::size_t>(unit_index));
  CHECK(blocks.lo >= 0 && blocks.lo <= blocks.hi && blocks.hi <= kBlocksPerUnit &&
            static_cast<std::int64_t>(into.size()) == blocks.size() * unit.block_elements,
        "unit", unit_index);
  std::fill(into.begin(), into.end(), 0.0f);
  const std::int64_t lo = blocks.lo * unit.block_elements;
  const std::int64_t hi = blocks.hi * unit.block_elements;
  for (std::size_t t = 0; t < unit.tensors.size(); ++t) {
    const TensorSpec& tensor = unit.tensors[t];
    const Source& source = sources_[static_cast<std::size_t>(unit_index)][t];
    const std::int64_t first = std::max(lo, tensor.offset) - tensor.offset;
    const std::int64_t end = std::min(hi, tensor.offset + tensor.numel) - tensor.offset;
    // Whole at once where rows touch, else row by row.
    const std::int64_t run = source.cut.is_one_run() ? tensor.numel : source.cut.columns;
    for (std::int64_t at = first; at < end;) {
      const std::int64_t next = std::min(end, (at / run + 1) * run);
      const std::span<float> part =
          into.subspan(static_cast<std::size_t>(tensor.offset + at - lo), static_cast<std::size_t>(next - at));
      if (auto ok = read_run(source, source.cut.element(at), part); !ok) return ok;
      if (auto ok = check_finite(source, tensor, at, part); !ok) return ok;
      at = next;
    }
  }
  return {};
}

// A tied model has one table; which of two different ones is meant cannot be known.
Result<void> ForeignWeights::check_tied_head(std::span<const float> table) {
  const auto stored = files_->tensors.find(kHead);
  if (!shape_.tie_word_embeddings || stored == files_->tensors.end()) return {};
  const Source& embedding = sources_.front().front();
  if (embedding.stored == &stored->second) return {};
  const auto differs = [&](const std::string& how) {
    return Error{Code::kBadInput, files_->files[static_cast<std::size_t>(stored->second.file)].path + ": " + kHead +
                                      how +
                                      "; config.json says tie_word_embeddings is true: set it to false, or take " +
                                      kHead + " out of the files"};
  };
  if (stored->second.shape != embedding.stored->shape || bytes_of(stored->second.dtype) == 0)
    return differs(" (" + stored->second.dtype + " " + text_of(stored->second.shape) + ") is no copy of the embedding");
  const Source head{&stored->second, embedding.cut};
  std::vector<float> part(kBufferBytes);
  for (std::size_t at = 0; at < table.size(); at += part.size()) {
    const std::span<float> here = std::span(part).first(std::min(part.size(), table.size() - at));
    if (auto ok = read_run(head, static_cast<std::int64_t>(at), here); !ok) return ok;
    const auto other = std::mismatch(here.begin(), here.end(), table.begin() + static_cast<std::ptrdiff_t>(at)).first;
    if (other != here.end())
      return differs(" differs from the embedding at element " +
                     std::to_string(static_cast<std::ptrdiff_t>(at) + (other - here.begin())));
  }
  return {};
}

Result<std::string> ForeignWeights::digest(const std::function<bool(std::int64_t, std::int64_t)>& progress) {
  if (shape_.expert_slices > 1) {  // the digest is of whole tensors
    ModelShape whole = shape_;
    whole.expert_slices = 1;
    auto weights = open(directory_, whole);
    if (!weights) return weights.error();
    auto said = (*weights)->digest(progress);
    bytes_read_ += (*weights)->bytes_read_;
    return said;
  }
  std::int64_t total = 0;
  for (const auto& [name, stored] : files_->tensors) {
    std::int64_t elements = bytes_of(stored.dtype);
    for (const std::int64_t size : stored.shape) elements *= size;
    total += elements;
  }
  const std::int64_t before = bytes_read_;
  std::vector<std::string> lines;
  std::vector<float> flat;
  for (const Unit& unit : units_) {
    flat.resize(static_cast<std::size_t>(unit.padded_numel()));
    if (auto ok = read(unit.index, {0, kBlocksPerUnit}, flat); !ok) return ok.error();
    for (const TensorSpec& tensor : unit.tensors)
      lines.push_back(tensor_line(tensor.name, tensor.shape, flat.data() + tensor.offset));
    if (unit.kind == UnitKind::kEmbedding)
      if (auto ok = check_tied_head(std::span(flat).first(static_cast<std::size_t>(unit.tensors.front().numel))); !ok)
        return ok.error();
    if (progress && !progress(std::min(total, bytes_read_ - before), total)) return Error{Code::kNewerEpoch, "stopped"};
  }
  return weights_digest(std::move(lines));
}

}  // namespace regroup::checkpoint
