// The head where its work is cut into pieces: against autograd in fp64, and what memory it takes.
#include "layout/head_pieces.hpp"
#include "moe/ops/gemm.hpp"
#include "moe/ops/machine.hpp"
#include "tests/ops/reference.hpp"
#include "tests/process_memory.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace regroup::ops {
namespace {

constexpr Precision kFp32 = Precision::kFp32, kBf16 = Precision::kBf16;
static_assert(head_rows(96, kFp32) == 256 && head_rows(65'536, kFp32) == 256 && head_rows(151'936, kFp32) == 96 &&
              head_rows(151'936, kBf16) == 192 && head_rows(10'000'000, kFp32) == 32);
static_assert(head_gradient_words(4096) == 8192 && head_gradient_words(256) == 131'072);

struct Head {
  Head(std::int64_t rows, std::int64_t vocab, std::int64_t hidden, Precision precision)
      : dims(small_dims()), x(typed({rows, hidden}, "x", 1, precision)) {
    dims.shape.vocab_size = vocab;
    dims.shape.hidden_size = hidden;
    dims.precision = precision;
    weights.norm = random_tensor({hidden}, "norm").mul_(0.1f).add_(1.0f);
    weights.lm_head = typed({vocab, hidden}, "head", 0.05, precision);
    leaf.norm = empty({hidden});
    leaf.lm_head = empty({vocab, hidden});
    targets = at::empty({rows}, at::TensorOptions().dtype(at::kLong));
    for (std::int64_t i = 0; i < rows; ++i) targets.data_ptr<std::int64_t>()[i] = i % 7 == 3 ? -1 : i * 104'729 % vocab;
  }
  static at::Tensor typed(at::IntArrayRef sizes, const char* purpose, double deviation, Precision precision) {
    const at::Tensor made = random_tensor(sizes, purpose, deviation);
    at::Tensor tensor = empty(sizes, precision == kBf16 ? at::kBFloat16 : at::kFloat);
    return tensor.copy_(made);
  }
  HeadResult run() { return head_forward_backward(weights, x, targets, dims, leaf); }

  Dims dims;
  at::Tensor x, targets;
  HeadWeights weights, leaf;
};

void expect_agrees(Head head, double close) {
  const at::Tensor x = leaf64(head.x), norm = leaf64(head.weights.norm), table = leaf64(head.weights.lm_head);
  const at::Tensor normed = norm * (x * at::rsqrt(x.pow(2).mean(-1, true) + head.dims.shape.rms_norm_eps));
  const at::Tensor wanted =
      at::nll_loss(at::log_softmax(at::matmul(normed, table.t()), -1), head.targets, {}, at::Reduction::Sum, -1);
  wanted.backward();
  const HeadResult got = head.run();
  EXPECT_NEAR(got.loss_sum, wanted.item<double>(), close * got.loss_sum);
  EXPECT_LT(distance(got.dx, x.grad()), close);
  EXPECT_LT(distance(head.leaf.norm, norm.grad()), close);
  EXPECT_LT(distance(head.leaf.lm_head, table.grad()), close);
}

TEST(HeadPieces, agree_with_autograd_above_a_vocabulary_of_65536) {
  settle_arithmetic();
  constexpr std::int64_t kVocab = 300'000, kRows = 100;
  ASSERT_LT(head_rows(kVocab, kFp32), kRows);
  ASSERT_LT(head_rows(kVocab, kBf16), kRows + 20);
  expect_agrees({kRows, kVocab, 32, kFp32}, 5e-6);
  expect_agrees({kRows + 20, kVocab, 32, kBf16}, 2e-2);
}

TEST(HeadPieces, agree_with_autograd_where_the_gradient_is_made_in_pieces) {
  settle_arithmetic();
  constexpr std::int64_t kHidden = 32'768, kVocab = 1'300;
  ASSERT_LT(head_gradient_words(kHidden), kVocab);
  expect_agrees({270, kVocab, kHidden, kBf16}, 2e-2);
}

// All logits would be 1,024 x 200,000 x 4 bytes = 781 MiB.
TEST(HeadPieces, take_constant_memory) {
  settle_arithmetic();
  for (const Precision precision : {kFp32, kBf16}) {
    Head head(1024, 200'000, 16, precision);
    head.leaf.lm_head.fill_(0);  // its pages are there
    std::ofstream("/proc/self/clear_refs") << "5";
    const std::int64_t before = status_kib("VmHWM:");
    head.run();
    EXPECT_LT((status_kib("VmHWM:") - before) / 1024, 2 * 64 + 32) << "MiB";
  }
}

}  // namespace
}  // namespace regroup::ops
