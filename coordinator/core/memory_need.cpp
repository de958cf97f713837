#include "coordinator/core/memory_need.hpp"

#include "coordinator/core/planner.hpp"
#include "moe/layout/units.hpp"

#include <algorithm>
#include <bit>

namespace regroup {
namespace {

constexpr std::int64_t kFloat = 4;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

struct Elements {
  std::int64_t dense = 0;    // of all dense units, padded
  std::int64_t expert = 0;   // of one expert
};

Elements count_elements(const ModelShape& model) {
  Elements elements;
  for (const Unit& unit : one_layer_of_each_kind(model)) {
    if (unit.is_expert()) elements.expert = unit.padded_numel();
    else elements.dense += unit.padded_numel() * layers_like(model, unit);
  }
  return elements;
}

// Floats per token that a layer keeps: attention (input, its norm, q, k, v, context), the block behind it (input, norm), and per chosen expert its input, gate and up, output.
std::int64_t kept_per_token(const ModelShape& model, bool sparse) {
  const std::int64_t h = model.hidden_size, q = model.num_attention_heads * model.head_dim, kv = model.num_key_value_heads * model.head_dim;
  const std::int64_t qk_norm = info_of(model.architecture).qk_norm == QkNorm::kNone ? 0 : q + kv;
  const std::int64_t attention = 2 * h + 2 * q + 2 * kv + qk_norm;
  if (!sparse) return attention + 2 * h + 2 * model.dense_intermediate_size;
  // The router's: probabilities, and of each choice weight, expert and two row numbers (64 bits).
  return attention + 2 * h + model.num_local_experts + model.num_experts_per_tok * (2 * h + 2 * model.intermediate_size + 7);
}

}  // namespace

MemoryNeed memory_need(const JobSpec& job, int members, int groups) {
  const ModelShape& model = job.model;
  const Elements elements = count_elements(model);
  const std::int64_t num_experts = model.num_sparse_layers() * model.num_local_experts * model.expert_slices;
  const std::int64_t dense_share = ceil_div(kBlocksPerUnit, members) * (elements.dense / kBlocksPerUnit);
  const std::int64_t share = dense_share + ceil_div(num_experts, members) * elements.expert;
  MemoryNeed need;
  need.weights = share * kFloat;
  need.moments = 2 * share * kFloat;
  // The chain that is being filled and the nodes that wait for their sibling; with other groups also the sum (in what is free by then) and the others' nodes.
  const std::int64_t chains = ceil_div(std::max(1, job.chains), std::max(1, groups));
  const std::int64_t own = std::bit_width(static_cast<std::uint64_t>(chains));
  const std::int64_t levels = groups > 1 ? std::max<std::int64_t>(own, 2) + groups - 1 : own;
  need.gradients = share * levels * kFloat;
  const bool half = job.precision == Precision::kBf16;
  const std::int64_t compute = half ? 2 : kFloat;   // bytes of a weight or an activation in products
  if (half) need.weights += ceil_div(num_experts, members) * elements.expert * compute;   // the experts' once more, rounded
  need.dense = elements.dense * kFloat;   // the leaf
  if (members > 1 || half) need.dense += elements.dense * compute;
  if (members > 1) need.dense += (members - 1) * dense_share * kFloat;

  const std::int64_t tokens = static_cast<std::int64_t>(job.sequences_per_microbatch) * job.sequence_length;
  const std::int64_t h = model.hidden_size, q = model.num_attention_heads * model.head_dim, kv = model.num_key_value_heads * model.head_dim, k = model.num_experts_per_tok;
  std::int64_t sparse = model.num_sparse_layers() * kept_per_token(model, true);
  if (job.recompute == Recompute::kExperts) sparse -= model.num_sparse_layers() * k * 2 * model.intermediate_size;
  if (job.recompute == Recompute::kFull) sparse = model.num_sparse_layers() * h + kept_per_token(model, true);   // their inputs, and one layer at a time
  std::int64_t per_token = sparse + static_cast<std::int64_t>(model.dense_layers.size()) * kept_per_token(model, false) + h;
  // Rows that are sent stay until the wave ends; from the others come as many as go to them.
  if (members > 1) per_token += model.num_sparse_layers() * 2 * k * h * (members - 1) / members;
  need.activations = tokens * per_token * compute;
  const std::int64_t segment = ceil_div(tokens * k, model.num_local_experts);   // the rows of one expert, evenly
  const std::int64_t travelling = members > 1 ? tokens * 2 * k * h * (members - 1) / members : 0;
  const std::int64_t expert_backward = tokens * 2 * k * h + travelling + segment * 4 * model.intermediate_size;
  const std::int64_t attention_backward = tokens * (2 * q + 2 * kv + 2 * h);
  const std::int64_t head = tokens * 2 * h + std::min<std::int64_t>(tokens, 256) * model.vocab_size;
  // With others the experts' rows stay while attention goes on: they may still be on their way.
  need.buffers = std::max(members > 1 ? expert_backward + attention_backward : std::max(expert_backward, attention_backward), head) * compute;
  return need;
}

std::int64_t memory_needed(const JobSpec& job, int members) { return memory_need(job, members, job.elastic.max_groups).total(); }

}  // namespace regroup
