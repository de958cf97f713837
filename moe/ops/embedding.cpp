#include "moe/ops/embedding.hpp"

#include "base/check.hpp"
#include "moe/ops/gemm.hpp"
#include "moe/ops/kernels.hpp"
#include "moe/ops/owner_update.hpp"
#include "moe/ops/typed.hpp"

namespace regroup::ops {

at::Tensor embedding_forward(const EmbeddingWeights& weights, const at::Tensor& tokens) {
  const std::int64_t* ids = tokens.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < tokens.numel(); ++i)
    REGROUP_CHECK(0 <= ids[i] && ids[i] < weights.table.size(0), "token", ids[i], "at position", i, "vocabulary",
                  weights.table.size(0));
  at::Tensor x = empty({tokens.numel(), weights.table.size(1)}, weights.table.scalar_type());
  gather_rows(weights.table.data_ptr(), ids, x.data_ptr(), x.size(0),
              x.size(1) * static_cast<std::int64_t>(x.element_size()));
  return x;
}

void embedding_backward(const at::Tensor& dx, const at::Tensor& tokens, EmbeddingWeights& leaf) {
  const std::int64_t* ids = tokens.data_ptr<std::int64_t>();
  const std::int64_t h = dx.size(1);
  by_type(dx, [&]<class T>() {
    for (std::int64_t i = 0; i < dx.size(0); ++i) add(data<float>(leaf.table) + ids[i] * h, data<T>(dx) + i * h, h);
  });
}

}  // namespace regroup::ops
