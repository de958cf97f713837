#include "layout/compute_form.hpp"

#include "base/check.hpp"

#include <algorithm>

namespace regroup {
namespace {

constexpr std::int64_t kAlignment = 64;  // bytes
constexpr std::int64_t kFloatBytes = 4;
constexpr std::int64_t kHalfBytes = 2;

bool is_router(const std::string& name) { return name.ends_with(".gate.weight"); }

std::int64_t aligned(std::int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

ComputeForm::ComputeForm(const Unit& unit, Precision precision) : precision_(precision) {
  for (const TensorSpec& tensor : unit.tensors) {
    const bool bf16 = precision == Precision::kBf16 && tensor.shape.size() > 1 && !is_router(tensor.name);
    pieces_.push_back({tensor.offset, tensor.numel});
    spots_.push_back({precision == Precision::kFp32 ? tensor.offset * kFloatBytes : aligned(bytes_), bf16});
    bytes_ = spots_.back().byte + tensor.numel * (bf16 ? kHalfBytes : kFloatBytes);
  }
  bytes_ = precision == Precision::kFp32 ? unit.padded_numel() * kFloatBytes : aligned(bytes_);
}

std::int64_t ComputeForm::byte_of(std::int64_t element) const {
  if (precision_ == Precision::kFp32) return element * kFloatBytes;
  const auto after = std::upper_bound(pieces_.begin(), pieces_.end(), element,
                                      [](std::int64_t e, const Piece& piece) { return e < piece.element; });
  if (after == pieces_.begin()) return 0;
  const auto at = static_cast<std::size_t>(after - pieces_.begin()) - 1;
  const std::int64_t within = std::min(element - pieces_[at].element, pieces_[at].numel);
  return spots_[at].byte + within * (spots_[at].bf16 ? kHalfBytes : kFloatBytes);
}

std::vector<ComputeForm> compute_forms(const std::vector<Unit>& units, Precision precision) {
  std::vector<ComputeForm> forms;
  forms.reserve(units.size());
  for (const Unit& unit : units) forms.emplace_back(unit, precision);
  return forms;
}

}  // namespace regroup
