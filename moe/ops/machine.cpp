#include "moe/ops/machine.hpp"

#include "api/orders.hpp"
#include "base/digest.hpp"
#include "base/random.hpp"
#include "moe/ops/attention.hpp"
#include "moe/ops/expert.hpp"
#include "moe/ops/gemm.hpp"
#include "moe/ops/kernels.hpp"
#include "moe/ops/typed.hpp"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <malloc.h>
#include <sys/resource.h>
#include <torch/csrc/api/include/torch/version.h>

#include <algorithm>

namespace regroup::ops {

void keep_freed_memory() {
  mallopt(M_MMAP_MAX, 0);         // no allocation is a mapping of its own, given back when freed
  mallopt(M_TRIM_THRESHOLD, -1);  // the heap never shrinks
  mallopt(M_TOP_PAD, 64 << 20);   // and grows in large strides
  mallopt(M_ARENA_MAX, 1);        // one heap: other threads' heaps are mappings that come and go
}

void settle_arithmetic() {
  at::set_num_threads(1);
  at::globalContext().setFlushDenormal(false);
}

std::int64_t page_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_minflt) + static_cast<std::int64_t>(usage.ru_majflt);
}

namespace {

constexpr std::int64_t kMostRows = 256;
constexpr std::int64_t kMostColumns = 1024;

at::Tensor numbers(const char* purpose, std::int64_t rows, std::int64_t columns, at::ScalarType type) {
  at::Tensor x = empty({rows, columns}, type);
  const std::uint64_t key = random_key(0, purpose);
  by_type(x, [&]<class T>() {
    for (std::int64_t i = 0; i < x.numel(); ++i)
      data<T>(x)[i] = rounded_to<T>(static_cast<float>(random_uniform(key, static_cast<std::uint64_t>(i)) - 0.5));
  });
  return x;
}

void add_to(Sha256& hash, const at::Tensor& x) { hash.update(x.data_ptr(), x.nbytes()); }

at::ScalarType type_of(const Dims& dims) { return dims.precision == Precision::kBf16 ? at::kBFloat16 : at::kFloat; }

// y = x w^T, dx = y w, dw = y^T x: the three products of a weight [out, in].
void probe_products(Sha256& hash, std::int64_t rows, std::int64_t out, std::int64_t in, at::ScalarType type) {
  rows = std::min(rows, kMostRows);
  out = std::min(out, kMostColumns);
  in = std::min(in, kMostColumns);
  const at::Tensor x = numbers("probe/x", rows, in, type);
  const at::Tensor w = numbers("probe/w", out, in, type);
  at::Tensor y = empty({rows, out}, type), dx = empty({rows, in}, type), dw = empty({out, in});
  multiply(y, x, w.t());
  multiply(dx, y, w);
  multiply_gradient(dw, y.t(), x, false);
  add_to(hash, y);
  add_to(hash, dx);
  add_to(hash, dw);
}

// Attention over a shortened microbatch, with every kernel around it.
void probe_attention(Sha256& hash, const Dims& job) {
  Dims dims = job;
  dims.sequences = 1;
  dims.sequence_length = std::min(dims.sequence_length, kMostRows);
  dims.shape.num_attention_heads = std::min<std::int64_t>(2, dims.shape.num_attention_heads);
  dims.shape.num_key_value_heads = 1;
  dims.shape.hidden_size = std::min(dims.shape.hidden_size, kMostColumns);
  const std::int64_t h = dims.shape.hidden_size;
  const std::int64_t q = dims.shape.num_attention_heads * dims.shape.head_dim;
  const std::int64_t kv = dims.shape.head_dim;
  const at::ScalarType type = type_of(job);
  const at::Tensor qkv = numbers("probe/qkv", q + 2 * kv, h, type), o = numbers("probe/o", h, q, type),
                   norm = numbers("probe/norm", 1, h, at::kFloat).view({h});
  DenseWeights weights{norm, qkv.narrow(0, 0, q), qkv.narrow(0, q, kv), qkv.narrow(0, q + kv, kv), {qkv}, o, norm, {}};
  const at::Tensor dqkv = empty({q + 2 * kv, h}), d_o = empty({h, q}), dnorm = empty({h});
  DenseWeights leaf{dnorm, {}, {}, {}, {dqkv}, d_o, dnorm, {}};
  const Rope rope = make_rope(dims);
  AttentionSaved saved;
  const at::Tensor y = attention_forward(weights, numbers("probe/rows", dims.tokens(), h, type), rope, dims, saved);
  const at::Tensor dx = attention_backward(weights, y, saved, rope, dims, leaf);
  for (const at::Tensor& x : {y, dx, dqkv, d_o, dnorm}) add_to(hash, x);
}

}  // namespace

std::string fingerprint(const Dims& dims) {
  const ModelShape& m = dims.shape;
  const std::int64_t f = m.intermediate_size / std::max(1, m.expert_slices);
  Sha256 hash;
  for (const std::int64_t rows :
       {std::int64_t{1}, std::int64_t{7}, dims.tokens() * m.num_experts_per_tok / m.num_local_experts}) {
    const std::int64_t computed = segment_rows(std::max<std::int64_t>(1, rows), dims.precision);
    probe_products(hash, computed, 2 * f, m.hidden_size, type_of(dims));
    probe_products(hash, computed, m.hidden_size, f, type_of(dims));
  }
  probe_products(hash, dims.tokens(), m.num_local_experts, m.hidden_size, at::kFloat);
  probe_products(hash, dims.tokens(), m.vocab_size, m.hidden_size, type_of(dims));
  probe_attention(hash, dims);
  const at::Tensor gate = numbers("probe/gate", 16, 2 * 48, type_of(dims));
  at::Tensor act = empty({16, 48}, type_of(dims));
  by_type(act, [&]<class T>() { swiglu_rows(data<T>(gate), data<T>(act), 16, 48); });
  add_to(hash, act);
  return "torch " TORCH_VERSION " cpu " + at::get_cpu_capability() + " threads " +
         std::to_string(at::get_num_threads()) +
         (dims.precision == Precision::kBf16 ? " bf16 probe " : " fp32 probe ") + hash.finish().substr(0, 16) +
         " sample_order " + std::to_string(kSampleOrder) + " sums " + std::to_string(kSums);
}

}  // namespace regroup::ops
