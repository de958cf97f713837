// profile.cpp: one rank's step by operator, and the rate of its bare matrix products in the same run. Prints JSON.
//
//   bench-ops [ROUNDS] [fp32|bf16] [TOKENS]     the model and shapes of transformers_baseline.py beside it, one thread;
//   TOKENS: attention within documents of so many
#include "bench/command_line.hpp"
#include "bench/thread_clock.hpp"
#include "layout/head_pieces.hpp"
#include "moe/ops/gemm.hpp"
#include "moe/ops/machine.hpp"
#include "moe/ops/owner_update.hpp"
#include "tests/ops/single_rank.hpp"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <utility>

using namespace regroup;
using namespace regroup::ops;
using bench::cpu_ms;

namespace {

double ms_since(double start) { return cpu_ms() - start; }

Dims bench_dims() {
  Dims dims;
  ModelShape& m = dims.shape;
  m.vocab_size = 512;
  m.hidden_size = 256;
  m.intermediate_size = 512;
  m.num_hidden_layers = 4;
  m.num_attention_heads = 8;
  m.num_key_value_heads = 4;
  m.head_dim = 32;
  m.num_local_experts = 8;
  m.num_experts_per_tok = 2;
  m.max_position_embeddings = 1024;
  dims.sequences = 4;
  dims.sequence_length = 256;
  return dims;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Every matrix product of a microbatch but those of attention's core, with the same shapes, on operands of its own.
class BareProducts {
 public:
  BareProducts(const Dims& dims, const std::vector<Routing>& routings) {
    const ModelShape& m = dims.shape;
    type_ = dims.precision == Precision::kBf16 ? at::kBFloat16 : at::kFloat;
    const std::int64_t n = dims.tokens(), h = m.hidden_size, f = m.intermediate_size;
    for (const Routing& routing : routings) {
      add(n, (m.num_attention_heads + 2 * m.num_key_value_heads) * m.head_dim, h, 0);
      add(n, h, m.num_attention_heads * m.head_dim, 0);
      add(n, m.num_local_experts, h, 0);
      for (const std::int64_t rows : routing.counts) {
        add(rows, 2 * f, h, 1);
        add(rows, h, f, 1);
      }
    }
    const std::int64_t rows = head_rows(m.vocab_size, dims.precision);
    for (std::int64_t row = 0; row < n; row += rows) add(std::min(rows, n - row), m.vocab_size, h, 1);
  }

  // Milliseconds of all of them once.
  double run() {
    const double start = cpu_ms();
    for (Product& p : products_) {
      multiply(p.y, p.x, p.w.t());
      multiply(p.dx, p.y, p.w);
      multiply_gradient(p.dw, p.y.t(), p.x, p.beta != 0);
    }
    const double ms = cpu_ms() - start;
    for (Product& p : products_) p.dw.fill_(0);
    return ms;
  }
  [[nodiscard]] double flop() const { return flop_; }

 private:
  struct Product {
    at::Tensor x, w, y, dx, dw;
    float beta;
  };
  void add(std::int64_t rows, std::int64_t out, std::int64_t in, float beta) {
    if (rows == 0) return;
    products_.push_back({random_tensor({rows, in}, "x").to(type_), random_tensor({out, in}, "w").to(type_),
                         random_tensor({rows, out}, "y").to(type_), empty({rows, in}, type_),
                         random_tensor({out, in}, "dw"), beta});
    flop_ += 6.0 * static_cast<double>(rows * out * in);
  }
  std::vector<Product> products_;
  at::ScalarType type_ = at::kFloat;
  double flop_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  settle_arithmetic();
  const c10::InferenceMode no_autograd;
  int rounds = 10;
  std::int64_t tokens = 0;
  std::string precision = "fp32";
  CLI::App app{"One rank's step by operator, and its share of the bare matrix products' rate, as JSON."};
  bench::add_count(app, "rounds", rounds, "");
  app.add_option("precision", precision)->capture_default_str()->check(CLI::IsMember({"fp32", "bf16"}));
  app.add_option("tokens", tokens, "of a document (0: as long as the sequence)")->check(CLI::NonNegativeNumber);
  if (const auto ended = bench::status_of(app, argc, argv)) return *ended;
  Dims dims = bench_dims();
  if (precision == "bf16") dims.precision = Precision::kBf16;
  SingleRank model(dims);
  if (tokens > 0)
    for (std::int64_t s = 0; s < dims.sequences; ++s)
      for (std::int64_t at = 0; at < dims.sequence_length; at += tokens)
        model.documents.push_back(std::min(tokens, dims.sequence_length - at));
  const Batch batch = random_batch(dims, 1);
  std::vector<Flat> first, second;
  for (const Unit& unit : model.units)
    first.emplace_back(unit.padded_numel()), second.emplace_back(unit.padded_numel());
  std::map<std::string, std::vector<double>> laps;
  std::vector<double> totals, updates, bare_times;
  model.microbatch(batch.tokens, batch.targets);
  model.clear_gradients();
  BareProducts bare(dims, model.routings);
  std::int64_t faults = 0;
  for (int round = 0; round < rounds + 2; ++round) {
    std::map<std::string, double> lap;
    const std::int64_t before = page_faults();
    const auto start = cpu_ms();
    auto last = start;
    model.microbatch(batch.tokens, batch.targets, [&](const char* name) {
      const auto now = cpu_ms();
      lap[name] += now - last;
      last = now;
    });
    const double total = ms_since(start);
    faults = page_faults() - before;
    const auto update_start = cpu_ms();
    double norm = 0;
    for (std::size_t i = 0; i < model.units.size(); ++i)
      for (int b = 0; b < kBlocksPerUnit; ++b)
        norm +=
            squared_norm(model.gradients[i].data() + b * model.units[i].block_elements, model.units[i].block_elements);
    const OptimizerSpec optimizer;
    for (std::size_t i = 0; i < model.units.size(); ++i)
      adamw_blocks(model.units[i], {0, kBlocksPerUnit}, model.weights[i].data(), first[i].data(), second[i].data(),
                   model.gradients[i].data(), optimizer, round + 1, 1e-4, clip_factor(1.0, std::sqrt(norm)) / 4092);
    const double update = ms_since(update_start);
    model.clear_gradients();
    const double bare_ms = bare.run();
    if (round < 2) continue;  // warm-up
    bare_times.push_back(bare_ms);
    totals.push_back(total);
    updates.push_back(update);
    for (const auto& [name, ms] : lap) laps[name].push_back(ms);
  }
  const double bare_ms = median(bare_times);
  const ModelShape& m = dims.shape;
  const double core = 12.0 *
                      static_cast<double>(m.num_hidden_layers * m.num_attention_heads * m.head_dim * dims.tokens()) *
                      static_cast<double>(dims.sequence_length + 1) / 2;
  const double total = median(totals);
  std::printf(
      "{\"precision\": \"%s\", \"microbatch_ms\": %.1f, \"tokens_per_s_of_microbatch\": %.0f, \"update_ms\": %.1f, "
      "\"gemm_ms\": %.1f, \"gemm_gflops\": %.1f, "
      "\"share_of_gemm_rate\": %.3f, \"page_faults_a_microbatch\": %lld, \"ops_ms\": {",
      dims.precision == Precision::kBf16 ? "bf16" : "fp32", total, static_cast<double>(dims.tokens()) / total * 1e3,
      median(updates), bare_ms, bare.flop() / bare_ms * 1e-6, (bare.flop() + core) / total / (bare.flop() / bare_ms),
      static_cast<long long>(faults));
  const char* comma = "";
  for (const auto& [name, ms] : laps)
    std::printf("%s\"%s\": %.2f", std::exchange(comma, ", "), name.c_str(), median(ms));
  std::printf("}}\n");
  return 0;
}
