// What owners do to flat buffers: the same bits however a unit is cut.
#include "moe/ops/owner_update.hpp"

#include "tests/ops/single_rank.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace regroup::ops {
namespace {

std::vector<float> numbers(std::int64_t n, const char* purpose, double deviation = 1.0) {
  const at::Tensor x = random_tensor({n}, purpose, deviation);
  return {x.data_ptr<float>(), x.data_ptr<float>() + n};
}

TEST(AdamW, is_the_same_however_the_range_is_cut) {
  constexpr std::int64_t kNumel = 10007;
  OptimizerSpec optimizer;
  const AdamStep step = adam_step(optimizer, 3, 3e-4, 0.37, true);
  const std::vector<float> grad = numbers(kNumel, "grad"), master = numbers(kNumel, "master"),
                           m = numbers(kNumel, "m", 0.1);
  std::vector<float> v = numbers(kNumel, "v", 0.1);
  for (float& x : v) x = x * x;
  std::vector<float> whole[3] = {master, m, v};
  adamw(whole[0].data(), whole[1].data(), whole[2].data(), grad.data(), kNumel, step);
  for (const std::int64_t piece : {1, 3, 16, 17, 64, 1000}) {
    std::vector<float> cut[3] = {master, m, v};
    for (std::int64_t at = 0; at < kNumel; at += piece)
      adamw(cut[0].data() + at, cut[1].data() + at, cut[2].data() + at, grad.data() + at, std::min(piece, kNumel - at),
            step);
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(std::memcmp(cut[i].data(), whole[i].data(), kNumel * sizeof(float)), 0) << "pieces of " << piece;
  }
}

TEST(AdamW, follows_the_published_formula) {
  OptimizerSpec optimizer;
  optimizer.weight_decay = 0.1;
  double p = 0.5, m = 0, v = 0;
  float fp = 0.5f, fm = 0, fv = 0;
  for (int step = 1; step <= 50; ++step) {
    const double g = std::sin(step * 0.7);
    m = optimizer.beta1 * m + (1 - optimizer.beta1) * g;
    v = optimizer.beta2 * v + (1 - optimizer.beta2) * g * g;
    p -= 1e-2 * optimizer.weight_decay * p;
    p -= 1e-2 * (m / (1 - std::pow(optimizer.beta1, step))) /
         (std::sqrt(v / (1 - std::pow(optimizer.beta2, step))) + optimizer.epsilon);
    const float twice = static_cast<float>(2 * g);
    adamw(&fp, &fm, &fv, &twice, 1, adam_step(optimizer, step, 1e-2, 0.5, true));
  }
  EXPECT_NEAR(fp, p, 2e-6);
}

TEST(AdamW, leaves_norms_undecayed_and_padding_alone) {
  const SingleRank model(small_dims());
  const Unit& unit = model.units[1];
  OptimizerSpec optimizer;
  Flat master(unit.padded_numel()), m(unit.padded_numel()), v(unit.padded_numel()), grad(unit.padded_numel());
  for (std::int64_t i = 0; i < master.numel(); ++i) master.data()[i] = 1.0f;
  adamw_blocks(unit, {0, kBlocksPerUnit}, master.data(), m.data(), v.data(), grad.data(), optimizer, 1, 1e-2, 1.0);
  for (const TensorSpec& tensor : unit.tensors)
    EXPECT_EQ(master.data()[tensor.offset] == 1.0f, !tensor.decays) << tensor.name;
  const TensorSpec& last = unit.tensors.back();
  ASSERT_LT(last.offset + last.numel, unit.padded_numel());
  EXPECT_EQ(master.data()[unit.padded_numel() - 1], 1.0f);
}

TEST(AdamWBlocks, is_the_same_however_the_blocks_are_shared) {
  const SingleRank model(small_dims());
  const OptimizerSpec optimizer;
  for (const Unit& unit : model.units) {
    const std::vector<float> grad = numbers(unit.padded_numel(), "grad");
    const auto run = [&](const std::vector<int>& cuts) {
      std::vector<float> master = numbers(unit.padded_numel(), "master"), m(master.size()), v(master.size());
      for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
        const std::int64_t at = cuts[i] * unit.block_elements;
        adamw_blocks(unit, {cuts[i], cuts[i + 1]}, master.data() + at, m.data() + at, v.data() + at, grad.data() + at,
                     optimizer, 5, 1e-3, 0.1);
      }
      return master;
    };
    EXPECT_EQ(run({0, 256}), run({0, 1, 2, 37, 100, 255, 256})) << "unit " << unit.index;
  }
}

// Without a gradient all that an update changes is what decays: matrices by exactly one factor, norms (biases do not
// exist) by nothing.
TEST(AdamWBlocks, norms_do_not_decay) {
  for (const Architecture architecture : {Architecture::kMixtral, Architecture::kQwen3Moe, Architecture::kOlmoe}) {
    ModelShape shape = small_dims().shape;
    shape.architecture = architecture;
    int norms = 0;
    for (const Unit& unit : make_units(shape)) {
      std::vector<float> master(static_cast<std::size_t>(unit.padded_numel()), 2.0f), moment(master.size()),
          grad(master.size());
      std::vector<float> second = moment;
      adamw_blocks(unit, {0, kBlocksPerUnit}, master.data(), moment.data(), second.data(), grad.data(),
                   OptimizerSpec{.weight_decay = 0.25}, 1, 0.5, 1.0);
      for (const TensorSpec& tensor : unit.tensors) {
        const bool is_norm = tensor.name.find("norm") != std::string::npos;
        norms += is_norm;
        EXPECT_EQ(is_norm, tensor.shape.size() == 1) << tensor.name;
        for (std::int64_t i = 0; i < tensor.numel; ++i)
          ASSERT_EQ(master[static_cast<std::size_t>(tensor.offset + i)], is_norm ? 2.0f : 1.75f) << tensor.name;
      }
    }
    EXPECT_EQ(norms, 1 + (architecture == Architecture::kMixtral ? 2 : 4) * shape.num_hidden_layers);
  }
}

TEST(SquaredNorm, is_that_of_its_block_alone) {
  std::vector<float> x = numbers(64 * 5, "x");
  double sum = 0;
  for (const float value : x) sum += static_cast<double>(value) * value;
  EXPECT_NEAR(squared_norm(x.data(), 320), sum, 1e-12 * sum);
  const double block = squared_norm(x.data() + 64, 64);
  x[0] = 1e20f;
  EXPECT_EQ(squared_norm(x.data() + 64, 64), block);
}

TEST(Init, is_the_same_however_the_blocks_are_shared) {
  const SingleRank model(small_dims(), 11);
  for (std::size_t i = 0; i < model.units.size(); ++i) {
    const Unit& unit = model.units[i];
    for (const Interval blocks : {Interval{0, 1}, Interval{13, 200}, Interval{255, 256}}) {
      std::vector<float> part(static_cast<std::size_t>(blocks.size() * unit.block_elements), 7.0f);
      init_blocks(unit, blocks, model.dims.shape, 11, part.data());
      EXPECT_EQ(std::memcmp(part.data(), model.weights[i].data() + blocks.lo * unit.block_elements,
                            part.size() * sizeof(float)),
                0)
          << "unit " << i;
    }
  }
}

TEST(Init, has_the_asked_deviation_and_knows_the_seed) {
  Dims dims = small_dims();
  dims.shape.initializer_range = 0.02;
  const SingleRank one(dims, 1), two(dims, 2);
  const TensorSpec& q = one.units[1].tensors[1];
  double sum = 0, squares = 0;
  for (std::int64_t i = 0; i < q.numel; ++i) {
    const double x = one.weights[1].data()[q.offset + i];
    sum += x;
    squares += x * x;
  }
  const double n = static_cast<double>(q.numel);
  EXPECT_NEAR(sum / n, 0, 4 * 0.02 / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(squares / n), 0.02, 4 * 0.02 / std::sqrt(2 * n));
  EXPECT_NE(one.weights[1].data()[q.offset], two.weights[1].data()[q.offset]);
  EXPECT_EQ(one.weights[1].data()[0], 1.0f);  // a norm
}

TEST(LearningRate, warms_up_then_falls) {
  OptimizerSpec o;
  o.learning_rate = 1.0;
  o.min_learning_rate = 0.1;
  o.warmup_steps = 10;
  o.schedule = ScheduleKind::kCosine;
  EXPECT_DOUBLE_EQ(learning_rate(o, 1, 110), 0.1);
  EXPECT_DOUBLE_EQ(learning_rate(o, 10, 110), 1.0);
  EXPECT_NEAR(learning_rate(o, 60, 110), 0.55, 1e-12);
  EXPECT_NEAR(learning_rate(o, 35, 110), 0.1 + 0.9 * 0.5 * (1 + std::cos(M_PI * 0.25)), 1e-12);
  EXPECT_NEAR(learning_rate(o, 110, 110), 0.1, 1e-12);
  EXPECT_NEAR(learning_rate(o, 500, 110), 0.1, 1e-12);
  o.schedule = ScheduleKind::kLinear;
  EXPECT_NEAR(learning_rate(o, 60, 110), 0.55, 1e-12);
  o.schedule = ScheduleKind::kWsd;
  o.decay_steps = 20;
  EXPECT_DOUBLE_EQ(learning_rate(o, 5, 110), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(o, 11, 110), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate(o, 90, 110), 1.0);
  EXPECT_NEAR(learning_rate(o, 95, 110), 0.1 + 0.9 * 0.75, 1e-12);
  EXPECT_DOUBLE_EQ(learning_rate(o, 110, 110), 0.1);
  EXPECT_DOUBLE_EQ(learning_rate(o, 111, 110), 0.1);
  o.schedule = ScheduleKind::kConstant;
  EXPECT_DOUBLE_EQ(learning_rate(o, 99, 110), 1.0);
  o.warmup_steps = 0;
  EXPECT_DOUBLE_EQ(learning_rate(o, 1, 110), 1.0);
}

TEST(ClipFactor, scales_only_what_is_too_long) {
  EXPECT_EQ(clip_factor(1.0, 0.5), 1.0);
  EXPECT_NEAR(clip_factor(1.0, 4.0), 0.25, 1e-6);
  EXPECT_EQ(clip_factor(0.0, 1e9), 1.0);
}

}  // namespace
}  // namespace regroup::ops
