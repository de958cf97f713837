// head.cpp: time and memory of the head alone, forward and backward. One JSON object a line.
//
//   bench-head [ROWS VOCAB HIDDEN [ROUNDS]]     without: 4,096 rows of a vocabulary of 32,000, hidden 256
#include "bench/command_line.hpp"
#include "bench/thread_clock.hpp"
#include "layout/head_pieces.hpp"
#include "moe/ops/gemm.hpp"
#include "moe/ops/machine.hpp"
#include "tests/ops/single_rank.hpp"
#include "tests/process_memory.hpp"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

using namespace regroup;
using namespace regroup::ops;
using bench::cpu_ms;

namespace {

double peak_mib() { return static_cast<double>(status_kib("VmHWM:")) / 1024; }

void measure(std::int64_t rows, std::int64_t vocab, std::int64_t hidden, int rounds, bool half) {
  const at::ScalarType type = half ? at::kBFloat16 : at::kFloat;
  const auto typed = [&](const at::Tensor& tensor) { return empty(tensor.sizes(), type).copy_(tensor); };
  Dims dims;
  dims.precision = half ? Precision::kBf16 : Precision::kFp32;
  dims.shape.vocab_size = vocab;
  dims.sequences = 1;
  dims.sequence_length = static_cast<int>(rows);
  const at::Tensor targets = random_batch(dims, 1).targets;
  const at::Tensor x = typed(random_tensor({rows, hidden}, "x"));
  const HeadWeights weights{random_tensor({hidden}, "norm"), typed(random_tensor({vocab, hidden}, "head", 0.02))};
  HeadWeights leaf{empty({hidden}).fill_(0), empty({vocab, hidden}).fill_(0)};
  std::ofstream("/proc/self/clear_refs") << "5";
  const double before = peak_mib();
  std::vector<double> times;
  for (int round = 0; round <= rounds; ++round) {
    const double start = cpu_ms();
    head_forward_backward(weights, x, targets, dims, leaf);
    if (round > 0) times.push_back(cpu_ms() - start);
  }
  std::sort(times.begin(), times.end());
  std::printf(
      "{\"precision\": \"%s\", \"rows\": %lld, \"vocab\": %lld, \"hidden\": %lld, \"piece_rows\": %lld, \"ms\": %.1f, "
      "\"least_ms\": %.1f, \"extra_mib\": %.1f}\n",
      half ? "bf16" : "fp32", static_cast<long long>(rows), static_cast<long long>(vocab),
      static_cast<long long>(hidden), static_cast<long long>(head_rows(vocab, dims.precision)), times[times.size() / 2],
      times.front(), peak_mib() - before);
}

}  // namespace

int main(int argc, char** argv) {
  settle_arithmetic();
  const c10::InferenceMode no_autograd;
  int rows = 4096, vocab = 32'000, hidden = 256, rounds = 3;
  CLI::App app{"Time and memory of the head, in fp32 and in bf16, as JSON."};
  bench::add_count(app, "rows", rows, "tokens");
  bench::add_count(app, "vocab", vocab, "words");
  bench::add_count(app, "hidden", hidden, "the hidden size");
  bench::add_count(app, "rounds", rounds, "");
  if (const auto ended = bench::status_of(app, argc, argv)) return *ended;
  for (const bool half : {false, true}) measure(rows, vocab, hidden, rounds, half);
}
