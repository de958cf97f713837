// embedding.hpp: token ids to rows and back. One thread; sums in one fixed order.
#pragma once

#include "moe/ops/weights.hpp"

namespace regroup::ops {

// tokens: int64 [N], each in [0, vocab) (CHECK) -> [N, hidden].
at::Tensor embedding_forward(const EmbeddingWeights& weights, const at::Tensor& tokens);

// Adds dx [N, hidden] to the leaf's rows, in ascending token position. The leaf holds zeros, or, with tied embeddings,
// the head's product.
void embedding_backward(const at::Tensor& dx, const at::Tensor& tokens, EmbeddingWeights& leaf);

}  // namespace regroup::ops
