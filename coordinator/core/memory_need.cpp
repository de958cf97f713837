#include "coordinator/core/planner.hpp"
#include "moe/layout/units.hpp"

#include <algorithm>
#include <bit>

namespace regroup {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace

std::int64_t memory_needed(const JobSpec& job, int members) {
  const ModelShape& model = job.model;
  ModelShape one_layer = model;  // layers are alike
  one_layer.num_hidden_layers = 1;
  std::int64_t dense_elements = 0;
  std::int64_t expert_elements = 0;
  std::int64_t largest_gathered = 0;
  for (const Unit& unit : make_units(one_layer)) {
    if (unit.is_expert()) {
      expert_elements = unit.padded_numel();
      continue;
    }
    dense_elements += unit.padded_numel() * (unit.kind == UnitKind::kDense ? model.num_hidden_layers : 1);
    largest_gathered = std::max(largest_gathered, unit.padded_numel());
  }
  const std::int64_t num_experts = model.num_hidden_layers * model.num_local_experts * model.expert_slices;
  const std::int64_t share = ceil_div(kBlocksPerUnit, members) * (dense_elements / kBlocksPerUnit) + ceil_div(num_experts, members) * expert_elements;
  // fp32 master and two moments; one fp32 accumulator a level of the tree and one that is being filled.
  const std::int64_t levels = std::bit_width(static_cast<unsigned>(std::max(1, job.chains)));
  const bool half = job.precision == Precision::kBf16;   // then the experts' weights are there once more, rounded
  const std::int64_t state = share * (12 + 4 * levels) + (half ? ceil_div(num_experts, members) * expert_elements * 2 : 0);

  const std::int64_t tokens = static_cast<std::int64_t>(job.sequences_per_microbatch) * job.sequence_length;
  const std::int64_t q = model.num_attention_heads * model.head_dim;
  const std::int64_t kv = model.num_key_value_heads * model.head_dim;
  // Kept for backward, per token and layer: two norms' inputs and outputs and the block's output; q, k, v and attention's output; per chosen expert its input, gate, up,
  // their product and its output.
  const std::int64_t per_layer = 5 * model.hidden_size + 2 * q + 2 * kv + model.num_experts_per_tok * (2 * model.hidden_size + 3 * model.intermediate_size);
  const std::int64_t inner = model.num_experts_per_tok * 2 * model.intermediate_size;   // gate and up
  std::int64_t kept = model.num_hidden_layers * per_layer;
  if (job.recompute == Recompute::kExperts) kept -= model.num_hidden_layers * inner;
  if (job.recompute == Recompute::kFull) kept = model.num_hidden_layers * model.hidden_size + per_layer;
  const std::int64_t activations = tokens * (kept + 2 * model.vocab_size) * (half ? 2 : 4);
  return state + 2 * largest_gathered * (half ? 2 : 4) + activations;
}

}  // namespace regroup
