#include "tests/ops/single_rank.hpp"

#include "base/random.hpp"
#include "moe/ops/attention.hpp"
#include "moe/ops/embedding.hpp"
#include "moe/ops/expert.hpp"
#include "moe/ops/mlp.hpp"
#include "moe/ops/owner_update.hpp"

#include <ATen/ops/empty.h>

#include <cstdlib>
#include <cstring>

namespace regroup::ops {

Flat::Flat(std::int64_t numel, int offset)
    : memory_(static_cast<float*>(std::aligned_alloc(4096, (static_cast<std::size_t>(numel) * sizeof(float) +
                                                            64 * static_cast<std::size_t>(offset) + 4095) /
                                                               4096 * 4096)),
              std::free),
      data_(memory_.get() + 16 * offset),
      numel_(numel) {
  std::memset(data_, 0, static_cast<std::size_t>(numel) * sizeof(float));
}

SingleRank::SingleRank(const Dims& d, std::uint64_t random_seed, int offset)
    : dims(d), units(make_units(d.shape)), forms(compute_forms(units, d.precision)), seed(random_seed) {
  for (const Unit& unit : units) {
    weights.emplace_back(unit.padded_numel(), offset);
    gradients.emplace_back(unit.padded_numel(), offset);
    leaves.emplace_back(unit.is_expert() ? 0 : unit.padded_numel(), offset);
    init_blocks(unit, {0, kBlocksPerUnit}, dims.shape, seed, weights.back().data());
    if (dims.precision == Precision::kBf16) rounded.emplace_back(forms[rounded.size()].bytes() / 4, offset);
  }
}

std::byte* SingleRank::computed(std::size_t i) const {
  return reinterpret_cast<std::byte*>(rounded.empty() ? weights[i].data() : rounded[i].data());
}

void SingleRank::round_weights() {
  for (std::size_t i = 0; i < rounded.size(); ++i)
    compute_weights(units[i], forms[i], {0, kBlocksPerUnit}, weights[i].data(), computed(i));
}

void SingleRank::clear_gradients() {
  for (Flat& gradient : gradients)
    std::memset(gradient.data(), 0, static_cast<std::size_t>(gradient.numel()) * sizeof(float));
}

std::map<std::string, at::Tensor> SingleRank::named(const std::vector<Flat>& flats) const {
  std::map<std::string, at::Tensor> result;
  for (std::size_t i = 0; i < units.size(); ++i)
    for (const TensorSpec& tensor : units[i].tensors) {
      at::Tensor& whole = result[tensor.name];
      if (!whole.defined()) whole = at::empty(tensor.whole.shape, at::TensorOptions().dtype(at::kFloat));
      put_in_whole(tensor, flats[i].data() + tensor.offset, whole.data_ptr<float>());
    }
  return result;
}

SingleRank::Loss SingleRank::microbatch(const at::Tensor& tokens, const at::Tensor& targets,
                                        const std::function<void(const char*)>& lap) {
  const ModelShape& shape = dims.shape;
  const auto layers = static_cast<std::size_t>(shape.num_hidden_layers);
  const auto num_experts = static_cast<std::size_t>(shape.num_local_experts);
  const int slices = shape.expert_slices;
  const auto of_slice = [](const at::Tensor& first, const at::Tensor& more, int slice) {
    return slice == 0 ? first : more.select(0, slice - 1);
  };
  const Rope rope = make_rope(dims);
  std::vector<AttentionSaved> attention(layers);
  std::vector<RouterSaved> router(layers);
  std::vector<MlpSaved> mlp(layers);
  std::vector<std::vector<ExpertSaved>> experts(
      layers, std::vector<ExpertSaved>(num_experts * static_cast<std::size_t>(slices)));
  const auto saved_of = [&](std::size_t layer, std::size_t expert, int slice) -> ExpertSaved& {
    return experts[layer][expert * static_cast<std::size_t>(slices) + static_cast<std::size_t>(slice)];
  };
  at::Tensor more;  // what slices above 0 make
  std::vector<at::Tensor> y_rows(layers);
  routings.assign(layers, {});
  AuxStats stats;
  round_weights();
  lap("other");

  const EmbeddingWeights embedding = embedding_weights(units.front(), forms.front(), computed(0));
  EmbeddingWeights embedding_leaf = embedding_weights(units.front(), leaves.front().data());
  at::Tensor x = embedding_forward(embedding, tokens);
  lap("embedding");
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const auto dense_at = static_cast<std::size_t>(dense_unit_index(shape, static_cast<int>(layer)));
    const DenseWeights dense = dense_weights(units[dense_at], forms[dense_at], computed(dense_at));
    x = attention_forward(dense, x, rope, dims, attention[layer], documents);
    lap("attention_forward");
    if (!shape.is_sparse(static_cast<std::int64_t>(layer))) {
      x = mlp_forward(dense, x, dims, mlp[layer]);
      lap("mlp_forward");
      continue;
    }
    Routing& routing = routings[layer] =
        router_forward(dense, x, dims, router[layer],
                       jitter_of(shape.router_jitter_noise, seed, 1, 0, static_cast<std::int64_t>(layer)));
    stats.add(router[layer], routing);
    const at::Tensor rows = dispatch_rows(routing);
    lap("router_forward");
    y_rows[layer] = at::empty(rows.sizes(), rows.options());
    if (slices > 1) more = at::empty({slices - 1, rows.size(0), rows.size(1)}, rows.options());
    for (std::size_t e = 0; e < num_experts; ++e) {
      const std::int64_t first = routing.first_row(static_cast<int>(e));
      for (int slice = 0; slice < slices; ++slice) {
        const auto at =
            static_cast<std::size_t>(expert_unit_index(shape, static_cast<int>(layer), static_cast<int>(e), slice));
        expert_forward(expert_weights(units[at], forms[at], computed(at)), rows.narrow(0, first, routing.counts[e]),
                       saved_of(layer, e, slice),
                       of_slice(y_rows[layer], more, slice).narrow(0, first, routing.counts[e]));
      }
    }
    if (slices > 1) add_slices(y_rows[layer], more);
    lap("expert_forward");
    x = combine_forward(x, y_rows[layer], routing);
    lap("combine_forward");
  }

  Loss loss;
  const HeadWeights head = head_weights(units.back(), forms.back(), computed(units.size() - 1),
                                        shape.tie_word_embeddings ? &embedding : nullptr);
  HeadWeights head_leaf =
      head_weights(units.back(), leaves.back().data(), shape.tie_word_embeddings ? &embedding_leaf : nullptr);
  if (!shape.tie_word_embeddings)
    std::memset(leaves.front().data(), 0, static_cast<std::size_t>(leaves.front().numel()) * sizeof(float));
  const HeadResult result = head_forward_backward(head, x, targets, dims, head_leaf);
  loss = {result.loss_sum, stats.loss(), result.num_targets, stats.z_loss};
  const std::vector<float> aux = aux_gradient(stats, shape.router_aux_loss_coef, result.num_targets);
  lap("head");

  if (keep_final) final_hidden = x;
  at::Tensor dx = result.dx;
  x = at::Tensor();
  for (std::size_t layer = layers; layer-- > 0;) {
    const auto dense_at = static_cast<std::size_t>(dense_unit_index(shape, static_cast<int>(layer)));
    const DenseWeights dense = dense_weights(units[dense_at], forms[dense_at], computed(dense_at));
    DenseWeights leaf = dense_weights(units[dense_at], leaves[dense_at].data());
    if (!shape.is_sparse(static_cast<std::int64_t>(layer))) {
      dx = attention_backward(dense, mlp_backward(dense, dx, mlp[layer], leaf), attention[layer], rope, dims, leaf);
      continue;
    }
    const Routing& routing = routings[layer];
    const CombineGrad combined = combine_backward(dx, y_rows[layer], routing);
    lap("combine_backward");
    const at::Tensor dx_rows = y_rows[layer];  // no longer needed: made again as the gradient
    for (std::size_t e = 0; e < num_experts; ++e) {
      const std::int64_t first = routing.first_row(static_cast<int>(e));
      for (int slice = 0; slice < slices; ++slice) {
        const auto at =
            static_cast<std::size_t>(expert_unit_index(shape, static_cast<int>(layer), static_cast<int>(e), slice));
        ExpertWeights accumulator = expert_weights(units[at], gradients[at].data());
        expert_backward(expert_weights(units[at], forms[at], computed(at)),
                        combined.dy_rows.narrow(0, first, routing.counts[e]), saved_of(layer, e, slice), accumulator,
                        of_slice(dx_rows, more, slice).narrow(0, first, routing.counts[e]));
      }
    }
    if (slices > 1) add_slices(dx_rows, more);
    lap("expert_backward");
    dx = router_backward(dense, dx, dx_rows, combined.dweight, aux,
                         z_gradient(z_coef, result.num_targets, dims.tokens()), router[layer], routing, leaf);
    lap("router_backward");
    dx = attention_backward(dense, dx, attention[layer], rope, dims, leaf);
    lap("attention_backward");
  }
  embedding_backward(dx, tokens, embedding_leaf);
  lap("embedding");
  for (std::size_t i = 0; i < units.size(); ++i)
    if (!units[i].is_expert()) add(gradients[i].data(), leaves[i].data(), leaves[i].numel());
  lap("add_leaves");
  return loss;
}

Batch random_batch(const Dims& dims, std::uint64_t seed) {
  const auto ids = at::TensorOptions().dtype(at::kLong);
  Batch batch{at::empty({dims.tokens()}, ids), at::empty({dims.tokens()}, ids)};
  const std::uint64_t key = random_key(seed, "test/tokens");
  std::int64_t* tokens = batch.tokens.data_ptr<std::int64_t>();
  std::int64_t* targets = batch.targets.data_ptr<std::int64_t>();
  const auto vocabulary = static_cast<unsigned __int128>(dims.shape.vocab_size);
  for (std::int64_t i = 0; i < dims.tokens(); ++i)  // in [0, vocab_size): the upper half of a 128-bit product
    tokens[i] = static_cast<std::int64_t>((random_bits(key, static_cast<std::uint64_t>(i)) * vocabulary) >> 64);
  for (std::int64_t i = 0; i < dims.tokens(); ++i)
    targets[i] = (i + 1) % dims.sequence_length == 0 ? -1 : tokens[i + 1];
  return batch;
}

at::Tensor random_tensor(at::IntArrayRef sizes, std::string_view purpose, double deviation, std::uint64_t seed) {
  at::Tensor x = at::empty(sizes, at::TensorOptions().dtype(at::kFloat));
  const std::uint64_t key = random_key(seed, purpose);
  for (std::int64_t i = 0; i < x.numel(); ++i)
    x.data_ptr<float>()[i] = static_cast<float>(deviation * random_normal(key, static_cast<std::uint64_t>(i)));
  return x;
}

Dims small_dims() {
  Dims dims;
  dims.shape.vocab_size = 53;
  dims.shape.hidden_size = 40;
  dims.shape.intermediate_size = 56;
  dims.shape.num_hidden_layers = 2;
  dims.shape.num_attention_heads = 6;
  dims.shape.num_key_value_heads = 2;
  dims.shape.head_dim = 12;
  dims.shape.num_local_experts = 5;
  dims.shape.num_experts_per_tok = 2;
  dims.shape.max_position_embeddings = 512;
  dims.shape.rope_theta = 1e4;
  dims.shape.router_aux_loss_coef = 0.02;
  dims.shape.initializer_range = 0.2;
  dims.sequences = 3;
  dims.sequence_length = 37;
  return dims;
}

}  // namespace regroup::ops
