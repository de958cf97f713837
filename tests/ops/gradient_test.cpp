// Each operator's backward, and the whole model's, against autograd in fp64.
#include "moe/ops/attend.hpp"
#include "moe/ops/attention.hpp"
#include "moe/ops/embedding.hpp"
#include "moe/ops/expert.hpp"
#include "moe/ops/machine.hpp"
#include "tests/ops/reference.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace regroup::ops {
namespace {

constexpr double kClose = 5e-6;  // fp32 sums of some hundred terms against fp64

std::int64_t padding_that_is_not_zero(const Unit& unit, const float* flat) {
  std::vector<bool> used(static_cast<std::size_t>(unit.padded_numel()));
  for (const TensorSpec& tensor : unit.tensors) std::fill_n(used.begin() + tensor.offset, tensor.numel, true);
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < unit.padded_numel(); ++i) count += !used[static_cast<std::size_t>(i)] && flat[i] != 0.0f;
  return count;
}

// The whole model, every tensor's gradient.
void expect_model_agrees(const Dims& dims, std::uint64_t seed, const std::vector<std::int64_t>& documents = {},
                         double z_coef = 0) {
  SingleRank model(dims, seed);
  model.documents = documents;
  model.z_coef = z_coef;
  const Batch batch = random_batch(dims, seed);
  Reference reference(model);
  reference.documents = documents;
  const Reference::Objective wanted = reference.objective(batch);
  wanted.total.backward();
  const SingleRank::Loss loss = model.microbatch(batch.tokens, batch.targets);
  EXPECT_NEAR(loss.cross_entropy, wanted.cross_entropy.item<double>(), 2e-6 * loss.cross_entropy);
  EXPECT_NEAR(loss.aux, wanted.aux.item<double>(), 1e-6 * loss.aux);
  EXPECT_NEAR(loss.z, wanted.z.item<double>(), 1e-6 * loss.z);
  for (std::size_t i = 0; i < model.units.size(); ++i)
    EXPECT_EQ(padding_that_is_not_zero(model.units[i], model.gradients[i].data()), 0) << "unit " << i;
  for (const auto& [name, got] : model.named(model.gradients)) {
    const at::Tensor& leaf = reference.weights.at(name);
    ASSERT_TRUE(leaf.grad().defined()) << name;
    EXPECT_LT(distance(got, leaf.grad()), 2e-5) << name << " of seed " << seed;
  }
}

TEST(WholeModel, agrees_with_autograd) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) expect_model_agrees(small_dims(), seed);
}

TEST(WholeModel, agrees_with_router_z_loss) {
  for (const double z_coef : {0.001, 1.0}) expect_model_agrees(small_dims(), 8, {}, z_coef);
}

TEST(WholeModel, agrees_with_tied_embeddings) {
  Dims dims = small_dims();
  dims.shape.tie_word_embeddings = true;
  expect_model_agrees(dims, 4);
}

TEST(WholeModel, agrees_with_a_window_and_several_tiles) {
  Dims dims = small_dims();
  dims.sequences = 1;
  dims.sequence_length = 3 * kQueryTile + 5;
  dims.shape.sliding_window = 70;
  expect_model_agrees(dims, 5);
  dims.shape.sliding_window = 7;
  expect_model_agrees(dims, 5);
}

TEST(WholeModel, agrees_where_attention_stays_within_documents) {
  Dims dims = small_dims();
  expect_model_agrees(dims, 8, {37, 1, 1, 1, 34, 20, 17});
  dims.sequences = 2;
  dims.sequence_length = 2 * kQueryTile + 12;
  const std::vector<std::int64_t> documents{3, kQueryTile, kQueryTile + 8, 1, 2 * kQueryTile + 12};
  expect_model_agrees(dims, 9, documents);
  for (const std::int64_t window : {5, 70}) {
    dims.shape.sliding_window = window;
    expect_model_agrees(dims, 9, documents);
  }
}

TEST(WholeModel, agrees_with_one_and_three_experts_a_token) {
  Dims dims = small_dims();
  for (const std::int64_t k : {1, 3, 5}) {
    dims.shape.num_experts_per_tok = k;
    expect_model_agrees(dims, 6);
  }
}

TEST(WholeModel, agrees_with_experts_in_slices) {
  Dims dims = small_dims();
  for (const int slices : {2, 4, 7}) {
    dims.shape.expert_slices = slices;
    expect_model_agrees(dims, 6);
  }
}

TEST(WholeModel, agrees_when_matrices_lie_without_gaps) {
  Dims dims = small_dims();
  dims.shape.hidden_size = 64;
  dims.shape.head_dim = 16;
  dims.shape.num_attention_heads = 4;
  dims.shape.vocab_size = 256;
  dims.sequence_length = 100;  // 300 rows: two pieces of the head
  const Unit dense = make_units(dims.shape)[1];
  Flat flat(dense.padded_numel());
  ASSERT_EQ(dense_weights(dense, flat.data()).fused.size(), 1u);
  expect_model_agrees(dims, 7);
}

TEST(Attention, agrees_with_autograd) {
  Dims dims = small_dims();
  dims.sequence_length = 2 * kQueryTile + 3;
  SingleRank model(dims);
  Reference reference(model);
  const at::Tensor x = random_tensor({dims.tokens(), dims.shape.hidden_size}, "x");
  const at::Tensor dout = random_tensor({dims.tokens(), dims.shape.hidden_size}, "dout");
  const at::Tensor x64 = leaf64(x);
  const at::Tensor wanted = reference.attention(0, x64);
  backward_with(wanted, dout);
  const DenseWeights weights = dense_weights(model.units[1], model.weights[1].data());
  DenseWeights leaf = dense_weights(model.units[1], model.leaves[1].data());
  leaf.q.fill_(99);  // whatever was there is overwritten
  const Rope rope = make_rope(dims);
  AttentionSaved saved;
  EXPECT_LT(distance(attention_forward(weights, x, rope, dims, saved), wanted), kClose);
  EXPECT_LT(distance(attention_backward(weights, dout, saved, rope, dims, leaf), x64.grad()), kClose);
  EXPECT_LT(distance(leaf.q, reference.weights.at("model.layers.0.self_attn.q_proj.weight").grad()), kClose);
  EXPECT_LT(distance(leaf.input_norm, reference.weights.at("model.layers.0.input_layernorm.weight").grad()), kClose);
  EXPECT_FALSE(saved.qkv.defined());
}

// Nothing of one document reaches another, not a bit; and one document a sequence is what is computed without
// documents.
TEST(Attention, a_documents_bits_depend_on_it_alone) {
  Dims dims = small_dims();
  dims.sequences = 2;
  dims.sequence_length = kQueryTile + 30;
  const std::vector<std::int64_t> documents{20, kQueryTile + 10, kQueryTile + 30};
  SingleRank model(dims);
  const DenseWeights weights = dense_weights(model.units[1], model.weights[1].data());
  const Rope rope = make_rope(dims);
  const auto run = [&](const at::Tensor& x, const at::Tensor& dout, const std::vector<std::int64_t>& of) {
    DenseWeights leaf = dense_weights(model.units[1], model.leaves[1].data());
    AttentionSaved saved;
    const at::Tensor out = attention_forward(weights, x, rope, dims, saved, of);
    return std::pair(out, attention_backward(weights, dout, saved, rope, dims, leaf));
  };
  const at::Tensor x = random_tensor({dims.tokens(), dims.shape.hidden_size}, "x"),
                   dout = random_tensor({dims.tokens(), dims.shape.hidden_size}, "dout");
  const auto before = run(x, dout, documents);
  at::Tensor other = x.clone(), dother = dout.clone();
  other.narrow(0, 0, 20).fill_(3.0f);
  dother.narrow(0, 0, 20).fill_(7.0f);
  const auto after = run(other, dother, documents);
  const std::int64_t rest = dims.tokens() - 20;
  EXPECT_TRUE(before.first.narrow(0, 20, rest).equal(after.first.narrow(0, 20, rest)));
  EXPECT_TRUE(before.second.narrow(0, 20, rest).equal(after.second.narrow(0, 20, rest)));
  EXPECT_FALSE(before.second.narrow(0, 0, 20).equal(after.second.narrow(0, 0, 20)));
  const auto plain = run(x, dout, {}), whole = run(x, dout, {dims.sequence_length, dims.sequence_length});
  EXPECT_TRUE(plain.first.equal(whole.first));
  EXPECT_TRUE(plain.second.equal(whole.second));
  EXPECT_FALSE(plain.first.equal(before.first));
}

TEST(Expert, adds_to_the_accumulator_in_the_order_of_calls) {
  SingleRank model(small_dims());
  Reference reference(model);
  const std::size_t at = static_cast<std::size_t>(expert_unit_index(model.dims.shape, 0, 0));
  const ExpertWeights weights = expert_weights(model.units[at], model.weights[at].data());
  ExpertWeights accumulator = expert_weights(model.units[at], model.gradients[at].data());
  const std::string prefix = "model.layers.0.block_sparse_moe.experts.0.";
  for (const std::int64_t n : {1, 0, 9}) {
    const at::Tensor x = random_tensor({n, model.dims.shape.hidden_size}, "x");
    const at::Tensor dy = random_tensor({n, model.dims.shape.hidden_size}, "dy");
    ExpertSaved saved;
    const at::Tensor y = expert_forward(weights, x, saved);
    const at::Tensor dx = expert_backward(weights, dy, saved, accumulator);
    if (n == 0) {
      EXPECT_EQ(y.size(0), 0);
      continue;
    }
    const at::Tensor x64 = leaf64(x);
    const at::Tensor gate = x64.matmul(reference.weights.at(prefix + "w1.weight").t());
    const at::Tensor wanted = gate.mul(gate.sigmoid())
                                  .mul(x64.matmul(reference.weights.at(prefix + "w3.weight").t()))
                                  .matmul(reference.weights.at(prefix + "w2.weight").t());
    backward_with(wanted, dy);
    EXPECT_LT(distance(y, wanted), kClose);
    EXPECT_LT(distance(dx, x64.grad()), kClose);
  }
  EXPECT_LT(distance(accumulator.w1, reference.weights.at(prefix + "w1.weight").grad()), kClose);
  EXPECT_LT(distance(accumulator.w2, reference.weights.at(prefix + "w2.weight").grad()), kClose);
  EXPECT_LT(distance(accumulator.w3, reference.weights.at(prefix + "w3.weight").grad()), kClose);
}

TEST(Embedding, adds_repeated_tokens_in_ascending_position) {
  const Dims dims = small_dims();
  SingleRank model(dims);
  at::Tensor tokens = random_batch(dims, 1).tokens.narrow(0, 0, 3).clone();
  tokens.fill_(7);
  const at::Tensor dx = random_tensor({3, dims.shape.hidden_size}, "dx");
  dx[0].fill_(1e8f);  // (1e8 + 1) - 1e8 is 0 in fp32 in this order, 1 in the other
  dx[1].fill_(1.0f);
  dx[2].fill_(-1e8f);
  EmbeddingWeights leaf = embedding_weights(model.units.front(), model.leaves.front().data());
  embedding_backward(dx, tokens, leaf);
  EXPECT_EQ(leaf.table[7].abs().sum().item<float>(), 0.0f);
}

TEST(Head, forward_alone_has_the_same_bits) {
  SingleRank model(small_dims());
  const Batch batch = random_batch(model.dims, 2);
  const at::Tensor x = random_tensor({model.dims.tokens(), model.dims.shape.hidden_size}, "x");
  const HeadWeights weights = head_weights(model.units.back(), model.weights.back().data());
  HeadWeights leaf = head_weights(model.units.back(), model.leaves.back().data());
  const HeadResult full = head_forward_backward(weights, x, batch.targets, model.dims, leaf);
  const HeadResult alone = head_forward(weights, x, batch.targets, model.dims);
  EXPECT_EQ(full.loss_sum, alone.loss_sum);
  EXPECT_EQ(full.num_targets, alone.num_targets);
  EXPECT_EQ(full.num_targets, model.dims.tokens() - model.dims.sequences);
  EXPECT_FALSE(alone.dx.defined());
}

TEST(Head, no_targets_give_no_gradient) {
  SingleRank model(small_dims());
  at::Tensor targets = random_batch(model.dims, 2).targets.clone();
  targets.fill_(-1);
  const at::Tensor x = random_tensor({model.dims.tokens(), model.dims.shape.hidden_size}, "x");
  const HeadWeights weights = head_weights(model.units.back(), model.weights.back().data());
  HeadWeights leaf = head_weights(model.units.back(), model.leaves.back().data());
  leaf.lm_head.fill_(5);
  const HeadResult result = head_forward_backward(weights, x, targets, model.dims, leaf);
  EXPECT_EQ(result.loss_sum, 0.0);
  EXPECT_EQ(result.num_targets, 0);
  EXPECT_EQ(leaf.lm_head.abs().sum().item<float>(), 0.0f);
  EXPECT_EQ(result.dx.abs().sum().item<float>(), 0.0f);
}

}  // namespace
}  // namespace regroup::ops
