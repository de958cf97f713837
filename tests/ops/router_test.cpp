// Routing's order, ties, empty experts and the load-balancing loss.
#include "moe/ops/router.hpp"

#include "moe/ops/kernels.hpp"
#include "moe/ops/machine.hpp"
#include "tests/ops/single_rank.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace regroup::ops {
namespace {

TEST(TopK, equal_probabilities_go_to_the_lower_expert) {
  const float probs[] = {0.25f, 0.25f, 0.25f, 0.25f, 0.1f, 0.4f, 0.1f, 0.4f};
  std::int64_t expert[4];
  float weight[4];
  top_k_rows(probs, expert, weight, 2, 4, 2);
  EXPECT_EQ(expert[0], 0);
  EXPECT_EQ(expert[1], 1);
  EXPECT_EQ(expert[2], 1);
  EXPECT_EQ(expert[3], 3);
  EXPECT_EQ(weight[0], 0.5f);
  EXPECT_EQ(weight[3], 0.5f);
}

TEST(TopK, picks_are_listed_in_ascending_expert) {
  const float probs[] = {0.1f, 0.2f, 0.3f, 0.4f};
  std::int64_t expert[3];
  float weight[3];
  top_k_rows(probs, expert, weight, 1, 4, 3);
  EXPECT_EQ(std::vector<std::int64_t>(expert, expert + 3), (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_FLOAT_EQ(weight[0], 0.2f / 0.9f);
}

class Router : public testing::Test {
 protected:
  Router() : dims(small_dims()), model(dims), weights(dense_weights(model.units[1], model.weights[1].data())) {
    settle_arithmetic();
  }
  Dims dims;
  SingleRank model;
  DenseWeights weights;
};

TEST_F(Router, rows_are_in_ascending_expert_then_token) {
  RouterSaved saved;
  const at::Tensor x = random_tensor({dims.tokens(), dims.shape.hidden_size}, "x");
  const Routing routing = router_forward(weights, x, dims, saved);
  const std::int64_t k = dims.shape.num_experts_per_tok;
  ASSERT_EQ(routing.rows(), dims.tokens() * k);
  EXPECT_EQ(std::accumulate(routing.counts.begin(), routing.counts.end(), std::int64_t{0}), routing.rows());
  const std::int64_t* row_token = routing.row_token.data_ptr<std::int64_t>();
  const std::int64_t* token_row = routing.token_row.data_ptr<std::int64_t>();
  const std::int64_t* expert = routing.expert.data_ptr<std::int64_t>();
  for (int e = 0; e < dims.shape.num_local_experts; ++e)
    for (std::int64_t row = routing.first_row(e) + 1;
         row < routing.first_row(e) + routing.counts[static_cast<std::size_t>(e)]; ++row)
      EXPECT_LT(row_token[row - 1], row_token[row]);
  for (std::int64_t i = 0; i < routing.rows(); ++i) {
    EXPECT_EQ(row_token[token_row[i]], i / k);
    EXPECT_GE(token_row[i], routing.first_row(static_cast<int>(expert[i])));
    EXPECT_LT(token_row[i],
              routing.first_row(static_cast<int>(expert[i])) + routing.counts[static_cast<std::size_t>(expert[i])]);
  }
  const at::Tensor rows = dispatch_rows(routing);
  for (std::int64_t i = 0; i < routing.rows(); ++i)
    EXPECT_EQ(rows.data_ptr<float>()[i * dims.shape.hidden_size],
              routing.normed.data_ptr<float>()[row_token[i] * dims.shape.hidden_size]);
}

TEST_F(Router, an_expert_without_tokens_has_no_rows_and_no_gradient) {
  weights.gate[2].fill_(0);
  at::Tensor x = random_tensor({dims.tokens(), dims.shape.hidden_size}, "x").abs();
  weights.gate[2].fill_(-50);  // hidden values are positive: its logit is always the least
  RouterSaved saved;
  EXPECT_EQ(router_forward(weights, x, dims, saved).counts[2], 0);
  const Batch batch = random_batch(dims, 1);
  // In a whole model, too: bias every token away by the gate of the first layer.
  for (int layer = 0; layer < dims.shape.num_hidden_layers; ++layer) {
    const auto at = static_cast<std::size_t>(dense_unit_index(dims.shape, layer));
    // all equal: everyone goes to experts 0 and 1
    dense_weights(model.units[at], model.weights[at].data()).gate.zero_();
  }
  model.microbatch(batch.tokens, batch.targets);
  for (int layer = 0; layer < dims.shape.num_hidden_layers; ++layer) {
    EXPECT_EQ(model.routings[static_cast<std::size_t>(layer)].counts,
              (std::vector<std::int64_t>{dims.tokens(), dims.tokens(), 0, 0, 0}));
    const Flat& gradient = model.gradients[static_cast<std::size_t>(expert_unit_index(dims.shape, layer, 4))];
    for (std::int64_t i = 0; i < gradient.numel(); ++i) ASSERT_EQ(gradient.data()[i], 0.0f);
    const Flat& busy = model.gradients[static_cast<std::size_t>(expert_unit_index(dims.shape, layer, 1))];
    EXPECT_NE(busy.data()[0], 0.0f);
  }
}

TEST_F(Router, combine_adds_the_residual_after_the_experts) {
  RouterSaved saved;
  const at::Tensor x = random_tensor({dims.tokens(), dims.shape.hidden_size}, "x");
  const Routing routing = router_forward(weights, x, dims, saved);
  const at::Tensor y = random_tensor({routing.rows(), dims.shape.hidden_size}, "y");
  const at::Tensor out = combine_forward(x, y, routing);
  const std::int64_t h = dims.shape.hidden_size;
  const std::int64_t* token_row = routing.token_row.data_ptr<std::int64_t>();
  const float* w = routing.weight.data_ptr<float>();
  for (std::int64_t i = 0; i < dims.tokens(); ++i)
    for (std::int64_t j = 0; j < h; ++j) {
      const float joined = (0.0f + y.data_ptr<float>()[token_row[2 * i] * h + j] * w[2 * i]) +
                           y.data_ptr<float>()[token_row[2 * i + 1] * h + j] * w[2 * i + 1];
      ASSERT_EQ(out.data_ptr<float>()[i * h + j], x.data_ptr<float>()[i * h + j] + joined);
    }
}

TEST(AuxLoss, is_the_number_of_picks_when_balanced) {
  AuxStats stats;
  stats.prob_sum = {25, 25, 25, 25};
  stats.counts = {50, 50, 50, 50};
  stats.tokens = 100;
  EXPECT_DOUBLE_EQ(stats.loss(), 2.0);
  EXPECT_DOUBLE_EQ(AuxStats{}.loss(), 0.0);
}

}  // namespace
}  // namespace regroup::ops
