#include "cli/plan/what_if.hpp"
#include "layout/compute_form.hpp"
#include "layout/tree.hpp"
#include "layout/units.hpp"

#include <algorithm>
#include <map>

namespace regroup::cli {
namespace {

constexpr std::int64_t kFloat = 4;

// Bytes by (from, to) rank, booked to one kind.
class Book {
 public:
  Book(Traffic& traffic, int workers_per_node) : traffic_(traffic), per_node_(workers_per_node) {}
  void send(Rank from, Rank to, std::int64_t bytes, std::int64_t Traffic::*kind) {
    if (from == to) return;
    traffic_.*kind += bytes;
    const int source = from.value / per_node_;
    if (source == to.value / per_node_) return;
    traffic_.between_machines += bytes;
    traffic_.most_of_a_machine = std::max(traffic_.most_of_a_machine, sent_[source] += bytes);
  }

 private:
  Traffic& traffic_;
  const int per_node_;
  std::map<int, std::int64_t> sent_;
};

struct Sizes {
  std::int64_t dense_block = 0;  // elements: one block of every dense unit
  std::int64_t expert = 0;
  // bytes of blocks [0, i) of every dense unit, as they are computed with
  std::vector<std::int64_t> gathered = std::vector<std::int64_t>(kBlocksPerUnit + 1);
  [[nodiscard]] std::int64_t gathered_of(const IntervalSet& blocks) const {
    std::int64_t bytes = 0;
    for (const Interval& run : blocks.intervals())
      bytes += gathered[static_cast<std::size_t>(run.hi)] - gathered[static_cast<std::size_t>(run.lo)];
    return bytes;
  }
};

Sizes sizes_of(const JobSpec& job) {
  Sizes sizes;
  for (const Unit& unit : one_layer_of_each_kind(job.model)) {
    if (unit.is_expert()) {
      sizes.expert = unit.padded_numel();
      continue;
    }
    const std::int64_t layers = layers_like(job.model, unit);
    const ComputeForm form(unit, job.precision);
    sizes.dense_block += unit.block_elements * layers;
    for (std::size_t block = 0; block < sizes.gathered.size(); ++block)
      sizes.gathered[block] += form.byte_of(static_cast<std::int64_t>(block) * unit.block_elements) * layers;
  }
  return sizes;
}

// Within a group: weights out to all, rows to the experts and back, leaves to the owners.
void book_group(const JobSpec& job, const Group& group, const Sizes& sizes, Book& book) {
  const auto members = static_cast<int>(group.ranks.size());
  const std::int64_t rows =
      static_cast<std::int64_t>(job.sequences_per_microbatch) * job.sequence_length * job.model.num_experts_per_tok;
  // An expert's rows go once to each rank that holds a slice of it; every slice answers.
  std::vector<std::int64_t> experts(group.ranks.size()), answers(group.ranks.size());
  const auto slices = static_cast<std::size_t>(job.model.expert_slices);
  for (std::size_t slot = 0; slot < group.expert_member.size(); ++slot) {
    const auto first = group.expert_member.begin() + static_cast<std::ptrdiff_t>(slot / slices * slices),
               here = group.expert_member.begin() + static_cast<std::ptrdiff_t>(slot);
    ++answers[static_cast<std::size_t>(*here)];
    if (std::find(first, here, *here) == here) ++experts[static_cast<std::size_t>(*here)];
  }
  const std::int64_t num_experts = job.model.num_local_experts;  // of a layer: the rows go to them evenly
  const std::int64_t row_bytes = job.model.hidden_size * element_bytes(job.precision);
  const std::int64_t passes = job.recompute == Recompute::kFull ? 3 : 2;  // forward, forward again, backward
  std::vector<std::int64_t> microbatches(group.ranks.size());
  const int num = microbatches_of(group, job.microbatches, job.chains).size();
  for (int m = 0; m < num; ++m) ++microbatches[static_cast<std::size_t>(m % members)];
  for (std::size_t owner = 0; owner < group.ranks.size(); ++owner) {
    const std::int64_t share = group.dense_blocks[owner].size() * sizes.dense_block * kFloat,
                       weights = sizes.gathered_of(group.dense_blocks[owner]);
    for (std::size_t other = 0; other < group.ranks.size(); ++other) {
      if (other == owner) continue;
      book.send(group.ranks[owner], group.ranks[other], weights, &Traffic::gather);
      book.send(group.ranks[other], group.ranks[owner], share * microbatches[other], &Traffic::leaves);
      const std::int64_t from_other = microbatches[other] * rows;
      // rows, and their outputs' gradients
      book.send(group.ranks[other], group.ranks[owner],
                passes * (from_other * experts[owner] / num_experts * row_bytes), &Traffic::dispatch);
      // outputs, and the rows' gradients
      book.send(group.ranks[owner], group.ranks[other],
                passes * (from_other * answers[owner] / num_experts * row_bytes), &Traffic::dispatch);
    }
  }
}

// Every owner sends what its group completed of the tree to each owner of the same range in the other groups.
void book_siblings(const Group& from, const Group& to, const Sizes& sizes, Book& book) {
  const auto nodes = static_cast<std::int64_t>(cover(from.first_chain, from.end_chain).size());
  for (std::size_t a = 0; a < from.ranks.size(); ++a)
    for (std::size_t b = 0; b < to.ranks.size(); ++b)
      book.send(from.ranks[a], to.ranks[b],
                nodes * from.dense_blocks[a].intersect(to.dense_blocks[b]).size() * sizes.dense_block * kFloat,
                &Traffic::nodes);
  for (std::size_t slot = 0; slot < from.expert_member.size(); ++slot)
    book.send(from.ranks[static_cast<std::size_t>(from.expert_member[slot])],
              to.ranks[static_cast<std::size_t>(to.expert_member[slot])], nodes * sizes.expert * kFloat,
              &Traffic::nodes);
}

}  // namespace

Traffic traffic_of_step(const JobSpec& job, const Placement& placement, int workers_per_node) {
  Traffic traffic;
  Book book(traffic, workers_per_node);
  const Sizes sizes = sizes_of(job);
  for (const Group& group : placement.groups) {
    book_group(job, group, sizes, book);
    for (const Group& other : placement.groups)
      if (&other != &group) book_siblings(group, other, sizes, book);
  }
  return traffic;
}

Work work_per_token(const ModelShape& model, std::int64_t sequence_length) {
  const std::int64_t h = model.hidden_size, q = model.num_attention_heads * model.head_dim,
                     kv = model.num_key_value_heads * model.head_dim;
  const std::int64_t attention = 2 * h * q + 2 * h * kv;
  const std::int64_t sparse = model.num_local_experts * h + model.num_experts_per_tok * 3 * h * model.intermediate_size;
  const std::int64_t dense = 3 * h * model.dense_intermediate_size;
  const std::int64_t met = model.num_hidden_layers * attention + model.num_sparse_layers() * sparse +
                           static_cast<std::int64_t>(model.dense_layers.size()) * dense + h * model.vocab_size;
  // A token sees itself and what lies before it, at most a window: the mean over the sequence.
  const std::int64_t window = std::min(model.sliding_window.value_or(sequence_length), sequence_length);
  const double seen =
      (static_cast<double>(window) * (window + 1) / 2 + static_cast<double>(sequence_length - window) * window) /
      static_cast<double>(sequence_length);
  return {6.0 * static_cast<double>(met),
          12.0 * static_cast<double>(q) * seen * static_cast<double>(model.num_hidden_layers)};
}

}  // namespace regroup::cli
