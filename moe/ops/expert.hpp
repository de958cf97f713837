// expert.hpp: one segment through one expert (or slice): w2(silu(w1 x) * (w3 x)). One GEMM call a product, whatever
// else is computed.
#pragma once

#include "moe/ops/weights.hpp"

namespace regroup::ops {

// A segment of n rows is computed as one of segment_rows(n): in bf16 zeros are put below until the number of rows is a
// multiple of kSegmentStep (of a 32nd to a 16th of itself where that is more). oneDNN makes and caches code for every
// shape it meets, 0.5 ms each: so it meets few.
inline constexpr std::int64_t kSegmentStep = 16;
std::int64_t segment_rows(std::int64_t n, Precision precision);

struct ExpertSaved {
  // [segment_rows(n), hidden]. If defined already: what another slice of the same expert made of the same rows
  at::Tensor rows;
  // [segment_rows(n), 2 f]: w1 x and w3 x side by side. May be dropped: the backward makes it again, with the same bits
  at::Tensor hidden;
};

// rows [n, hidden] (copied first if they do not start on 64 bytes) -> [n, hidden]. n = 0 gives an empty tensor.
// `out`, if defined, is [n, hidden] contiguous and receives the result (a part of a larger row buffer); bits are the
// same.
at::Tensor expert_forward(const ExpertWeights& weights, const at::Tensor& rows, ExpertSaved& saved,
                          at::Tensor out = {});

// What the weight gradients of a segment are made of. [segment_rows(n), ...]; undefined for n = 0.
struct ExpertBackward {
  at::Tensor rows;     // [hidden]: as saved
  at::Tensor dy;       // [hidden]
  at::Tensor act;      // [f]: silu(w1 x) * (w3 x)
  at::Tensor dhidden;  // [2 f]
};

// dy [n, hidden] -> gradient of the rows, and what expert_weight_gradients() goes on with, whenever. Drops `saved`.
at::Tensor expert_row_gradients(const ExpertWeights& weights, const at::Tensor& dy, ExpertSaved& saved,
                                ExpertBackward& rest, at::Tensor out = {});

// Adds to the accumulator's views in the order of calls: fp32 in place (beta = 1), bf16 as a bf16 product that is then
// added in fp32. n = 0 touches nothing. Drops `rest`.
void expert_weight_gradients(ExpertBackward& rest, ExpertWeights& accumulator);

// Both, one after the other.
at::Tensor expert_backward(const ExpertWeights& weights, const at::Tensor& dy, ExpertSaved& saved,
                           ExpertWeights& accumulator, at::Tensor out = {});

// An expert in slices is the sum of what they make of the same rows, in ascending slice, rounded once: y [n, hidden],
// of slice 0, += more [slices - 1, n, hidden]. Backward likewise: the gradient of the rows.
void add_slices(const at::Tensor& y, const at::Tensor& more);

}  // namespace regroup::ops
