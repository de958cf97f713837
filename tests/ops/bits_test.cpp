// What must not change a bit: addresses (multiples of 64 bytes), where a range is cut, what was computed before.
#include "base/digest.hpp"
#include "moe/ops/expert.hpp"
#include "moe/ops/machine.hpp"
#include "tests/ops/single_rank.hpp"

#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace regroup::ops {
namespace {

std::string digest_of(const SingleRank& model) {
  Sha256 hash;
  for (const Flat& gradient : model.gradients)
    hash.update(gradient.data(), static_cast<std::size_t>(gradient.numel()) * sizeof(float));
  return hash.finish();
}

bool same(const at::Tensor& a, const at::Tensor& b) {
  return a.nbytes() == b.nbytes() && std::memcmp(a.data_ptr(), b.data_ptr(), a.nbytes()) == 0;
}

class Bits : public testing::TestWithParam<Precision> {
 protected:
  void SetUp() override { settle_arithmetic(); }
  static Dims dims() {
    Dims dims = small_dims();
    dims.precision = GetParam();
    return dims;
  }
};
INSTANTIATE_TEST_SUITE_P(Precisions, Bits, testing::Values(Precision::kFp32, Precision::kBf16),
                         [](const auto& test) { return test.param == Precision::kBf16 ? "bf16" : "fp32"; });

TEST_P(Bits, gradients_are_the_same_at_every_address) {
  for (Dims dims : {dims(), [] {
                      Dims d = Bits::dims();  // matrices without gaps: fused products
                      d.shape.hidden_size = 64;
                      d.shape.intermediate_size = 96;
                      d.shape.head_dim = 16;
                      return d;
                    }()}) {
    const Batch batch = random_batch(dims, 1);
    std::string wanted;
    std::vector<at::Tensor> in_the_way;  // moves what the allocator returns
    for (const int offset : {0, 1, 3, 5, 16, 33}) {
      in_the_way.push_back(at::empty({offset * 16 + 1}, at::TensorOptions().dtype(at::kFloat)));
      SingleRank model(dims, 1, offset);
      model.microbatch(batch.tokens, batch.targets);
      model.microbatch(batch.tokens, batch.targets);
      const std::string got = digest_of(model);
      if (wanted.empty()) wanted = got;
      EXPECT_EQ(got, wanted) << "offset " << offset;
    }
  }
}

// The digest above would notice: one bit of one weight gives another.
TEST_P(Bits, one_bit_of_one_weight_is_noticed) {
  const Batch batch = random_batch(dims(), 1);
  SingleRank model(dims()), other(dims());
  float* weight = other.weights[1].data() + other.units[1].tensors[1].offset;
  *weight = GetParam() == Precision::kFp32 ? std::nextafter(*weight, 1e9f) : *weight * (1 + 0x1p-7f);
  model.microbatch(batch.tokens, batch.targets);
  other.microbatch(batch.tokens, batch.targets);
  EXPECT_NE(digest_of(model), digest_of(other));
}

// A segment that arrives in the middle of a receive buffer, at an odd start, equals one in a tensor of its own: also
// with few rows.
TEST_P(Bits, segments_are_the_same_wherever_they_lie) {
  SingleRank model(dims());
  model.round_weights();
  const at::ScalarType type = GetParam() == Precision::kBf16 ? at::kBFloat16 : at::kFloat;
  const std::int64_t h = model.dims.shape.hidden_size;
  const auto at = static_cast<std::size_t>(expert_unit_index(model.dims.shape, 0, 1));
  const ExpertWeights weights = expert_weights(model.units[at], model.forms[at], model.computed(at));
  for (const std::int64_t n : {1, 2, 3, 5, 8, 16, 31}) {
    const at::Tensor rows = random_tensor({n, h}, "rows").to(type);
    const at::Tensor dy = random_tensor({n, h}, "dy").to(type);
    ExpertSaved saved;
    const at::Tensor y = expert_forward(weights, rows, saved);
    Flat sum(model.units[at].padded_numel());
    ExpertWeights accumulator = expert_weights(model.units[at], sum.data());
    const at::Tensor dx = expert_backward(weights, dy, saved, accumulator);
    for (const std::int64_t shift : {1, 4, 16}) {
      const auto moved = [&](const at::Tensor& x) {
        at::Tensor buffer = at::empty({shift + x.numel()}, x.options());
        at::Tensor part = buffer.narrow(0, shift, x.numel()).view(x.sizes());
        part.copy_(x);
        return part;
      };
      ExpertSaved again;
      const at::Tensor out = moved(y.clone().zero_());
      expert_forward(weights, moved(rows), again, out);
      EXPECT_TRUE(same(out, y)) << n << " rows, shift " << shift;
      Flat other_sum(model.units[at].padded_numel(), 7);
      ExpertWeights other = expert_weights(model.units[at], other_sum.data());
      const at::Tensor dout = moved(dx.clone().zero_());
      expert_backward(weights, moved(dy), again, other, dout);
      EXPECT_TRUE(same(dout, dx)) << n << " rows, shift " << shift;
      EXPECT_EQ(std::memcmp(sum.data(), other_sum.data(), static_cast<std::size_t>(sum.numel()) * sizeof(float)), 0)
          << n << " rows, shift " << shift;
    }
  }
}

TEST_P(Bits, fingerprint_is_stable_and_sees_the_shape) {
  Dims dims = Bits::dims();
  const std::string first = fingerprint(dims);
  EXPECT_EQ(fingerprint(dims), first);
  EXPECT_NE(first.find("torch 2.11"), std::string::npos) << first;
  EXPECT_NE(first.find("threads 1"), std::string::npos) << first;
  dims.shape.head_dim = 16;
  EXPECT_NE(fingerprint(dims), first);
  dims = Bits::dims();
  dims.precision = dims.precision == Precision::kFp32 ? Precision::kBf16 : Precision::kFp32;
  EXPECT_NE(fingerprint(dims), first);
}

}  // namespace
}  // namespace regroup::ops
