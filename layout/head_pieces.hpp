// head_pieces.hpp: in what pieces the head makes logits and their products. Functions of shape and precision alone,
// never of layout or free memory: another cut gives other bits.
#pragma once

#include "layout/compute_form.hpp"

#include <algorithm>
#include <cstdint>

namespace regroup {

inline constexpr std::int64_t kHeadPieceBytes = std::int64_t{64} << 20;

// Rows whose logits exist at one time: 256, fewer for a vocabulary above 65,536 (bf16: 131,072), a multiple of 32. The
// whole vocabulary each: in pieces of it every logit is made twice.
constexpr std::int64_t head_rows(std::int64_t vocab_size, Precision precision) {
  const std::int64_t row_bytes = vocab_size * element_bytes(precision);
  return std::clamp<std::int64_t>(kHeadPieceBytes / row_bytes / 32 * 32, 32, 256);
}

// Words of the vocabulary whose bf16 gradients are made at one time, before they join the fp32 sum.
constexpr std::int64_t head_gradient_words(std::int64_t hidden_size) {
  return std::max<std::int64_t>(kHeadPieceBytes / (element_bytes(Precision::kBf16) * hidden_size) / 32 * 32, 32);
}

}  // namespace regroup
