#include "coordinator/planner/memory_need.hpp"

#include "coordinator/planner/tree_buffers.hpp"
#include "layout/compute_form.hpp"
#include "layout/head_pieces.hpp"
#include "layout/units.hpp"

#include <algorithm>

namespace regroup::planning {
namespace {

constexpr std::int64_t kFloat = 4;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

struct Elements {
  std::int64_t dense = 0;          // of all dense units, padded
  std::int64_t dense_form = 0;     // bytes of what is computed with
  std::int64_t dense_at_work = 0;  // of the embedding, the head and one layer of each kind
  std::int64_t expert = 0;         // of one slice of an expert
  std::int64_t expert_form = 0;
};

Elements count_elements(const JobSpec& job) {
  Elements elements;
  for (const Unit& unit : one_layer_of_each_kind(job.model)) {
    const std::int64_t form = ComputeForm(unit, job.precision).bytes();
    if (unit.is_expert()) {
      elements.expert = unit.padded_numel();
      elements.expert_form = form;
    } else {
      elements.dense += unit.padded_numel() * layers_like(job.model, unit);
      elements.dense_at_work += unit.padded_numel();
      elements.dense_form += form * layers_like(job.model, unit);
    }
  }
  return elements;
}

// Bytes per token that a layer keeps: attention (input, its norm, q, k, v, context), the block behind it (input, norm),
// and per chosen expert its input (on each of the `copies` ranks among which its slices lie), gate and up, output.
std::int64_t kept_per_token(const JobSpec& job, bool sparse, std::int64_t copies) {
  const ModelShape& model = job.model;
  const std::int64_t h = model.hidden_size, q = model.num_attention_heads * model.head_dim,
                     kv = model.num_key_value_heads * model.head_dim;
  const std::int64_t qk_norm = info_of(model.architecture).qk_norm == QkNorm::kNone ? 0 : q + kv;
  const std::int64_t attention = 2 * h + 2 * q + 2 * kv + qk_norm;
  if (!sparse) return (attention + 2 * h + 2 * model.dense_intermediate_size) * element_bytes(job.precision);
  const std::int64_t inner = job.recompute == Recompute::kExperts ? 0 : 2 * model.intermediate_size;
  // The router's: probabilities, and of each choice weight, expert and two row numbers (64 bits).
  const std::int64_t router = model.num_local_experts + model.num_experts_per_tok * 7;
  return (attention + 2 * h + model.num_experts_per_tok * ((1 + copies) * h + inner)) * element_bytes(job.precision) +
         router * kFloat;
}

// oneDNN and LibTorch's cache above it hold three or four descriptors of 258 KB of each shape (heaptrack,
// LibTorch 2.11).
constexpr std::int64_t kProductShape = 1 << 20;

// Of an expert's six products there is one for every size of segment (moe/ops/expert.hpp) between half and twice the
// mean; and those of a dense layer and the head.
std::int64_t product_shapes(std::int64_t mean_segment) {
  return 6 * std::min<std::int64_t>(32, ceil_div(3 * mean_segment, 2 * 16) + 1) + 12;
}

}  // namespace

MemoryNeed memory_need(const JobSpec& job, int members, int groups) {
  const ModelShape& model = job.model;
  // In bf16 the step computes with a rounded copy of the weights; in fp32 with the master weights themselves.
  const bool rounds = job.precision != Precision::kFp32;
  const std::int64_t size = element_bytes(job.precision);
  const Elements elements = count_elements(job);
  const std::int64_t num_sparse = model.num_sparse_layers(),
                     num_dense = static_cast<std::int64_t>(model.dense_layers.size());
  // Weight gradients are computed while rows are under way (moe/step/weight_gradients.hpp).
  const bool postpones = members > 1 && job.recompute == Recompute::kNone;
  const std::int64_t held_experts = ceil_div(num_sparse * model.num_local_experts * model.expert_slices, members);
  const std::int64_t dense_share = ceil_div(kBlocksPerUnit, members) * (elements.dense / kBlocksPerUnit);
  const std::int64_t share = dense_share + held_experts * elements.expert;
  MemoryNeed need;
  need.weights = share * kFloat + (rounds ? held_experts * elements.expert_form : 0);
  need.moments = 2 * share * kFloat;
  // A unit is at work from the first gradient that the last wave adds to it until its sum is complete. That is one
  // layer at a time, unless weight gradients are postponed: then any layer's may wait half done for the next.
  const TreeBuffers buffers = tree_buffers(job, members, groups);
  const std::int64_t layers_at_work = postpones ? num_sparse : std::min<std::int64_t>(1, num_sparse);
  const std::int64_t experts_of_layer = ceil_div(model.num_local_experts * model.expert_slices, members);
  const std::int64_t at_work =
      std::min(share, ceil_div(kBlocksPerUnit, members) * (elements.dense_at_work / kBlocksPerUnit) +
                          layers_at_work * experts_of_layer * elements.expert);
  need.gradients = (share * buffers.of_all + dense_share * buffers.of_dense + at_work * buffers.at_work) * kFloat;
  need.dense = elements.dense * kFloat;  // gradients of one microbatch
  if (members > 1 || rounds) need.dense += elements.dense_form;
  if (members > 1) need.dense += (members - 1) * dense_share * kFloat;

  const std::int64_t tokens = static_cast<std::int64_t>(job.sequences_per_microbatch) * job.sequence_length;
  const std::int64_t h = model.hidden_size, q = model.num_attention_heads * model.head_dim,
                     kv = model.num_key_value_heads * model.head_dim, k = model.num_experts_per_tok;
  const std::int64_t slices = model.expert_slices, copies = std::min<std::int64_t>(slices, members);
  const std::int64_t sparse_layer = num_sparse > 0 ? kept_per_token(job, true, copies) : 0,
                     dense_layer = num_dense > 0 ? kept_per_token(job, false, 1) : 0;
  std::int64_t per_token = num_sparse * sparse_layer + num_dense * dense_layer + h * size;
  // Every layer's input, and the one layer whose forward is repeated.
  if (job.recompute == Recompute::kFull)
    per_token = (model.num_hidden_layers + 1) * h * size + std::max(sparse_layer, dense_layer);
  per_token += (slices - 1) * k * h * size;  // outputs of slices above 0, until they are added to those of slice 0
  // Rows that are dispatched to other members stay until the wave ends, and so do the outputs of every slice; with
  // recomputation only those of two layers do. As many rows arrive as are sent.
  const std::int64_t sent_layers =
      job.recompute == Recompute::kNone ? num_sparse : std::min<std::int64_t>(num_sparse, 2);
  if (members > 1) per_token += sent_layers * (1 + slices) * k * h * (members - 1) / members * size;
  // Activations that are computed again are allocated between those that stay, and the heap does not fill all holes. At
  // the peak that costs as much as one layer's dispatched rows and outputs (measured: tests/train/memory_test.cpp).
  if (job.recompute != Recompute::kNone) per_token += 2 * k * h * size;
  need.activations = tokens * per_token;
  // A step's first accumulators are taken before its activations, the other buffers of gradients during its backwards:
  // small ones between activations, into holes that these have left. The next microbatch's activations must then go
  // elsewhere (measured as above).
  if (elements.expert * kFloat < tokens * k * h * size)
    need.activations += std::min(need.activations, need.gradients - share * kFloat);
  const std::int64_t segment = ceil_div(tokens * k, model.num_local_experts);  // rows of an expert, for an even load
  const std::int64_t travelling = members > 1 ? tokens * (copies + slices) * k * h * (members - 1) / members : 0;
  // While rows are under way, a layer's weight gradients wait to be computed. Until then three intermediates of a row
  // are kept where the forward saved two. Later layers wait with no more than their attention has freed.
  const std::int64_t waiting = postpones ? tokens * k * model.intermediate_size : 0;
  const std::int64_t expert_backward =
      tokens * 2 * k * h + travelling + waiting +
      segment * (job.recompute == Recompute::kExperts ? 6 : 4) * model.intermediate_size / slices;
  const std::int64_t attention_backward = tokens * (2 * q + 2 * kv + 2 * h);
  const std::int64_t mlp_backward = num_dense > 0 ? tokens * (4 * model.dense_intermediate_size + h) : 0;
  const std::int64_t head = tokens * 2 * h +
                            std::min(tokens, head_rows(model.vocab_size, job.precision)) * model.vocab_size +
                            (rounds ? std::min(model.vocab_size, head_gradient_words(h)) * h : 0);
  // In a group of several the experts' rows stay during attention, because they may still be under way.
  need.buffers =
      std::max({members > 1 ? expert_backward + attention_backward : std::max(expert_backward, attention_backward),
                mlp_backward, head}) *
      size;
  if (rounds) need.products = product_shapes(segment) * kProductShape;
  return need;
}

std::int64_t memory_needed(const JobSpec& job, int members) {
  const MemoryNeed need = memory_need(job, members, job.elastic.max_groups);
  return std::max(need.total(), need.regroup());
}

}  // namespace regroup::planning
