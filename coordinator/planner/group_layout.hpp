// group_layout.hpp: who of one group keeps which dense blocks and which experts. Pure; a part of the planner.
//
// Balanced: dense blocks even to one; experts even to one in each layer and in total (the heavier share goes round from
// layer to layer); a member keeps what it holds up to
//   its share, and as many heavier shares as possible go to members that hold them already.
// Keep all: nothing that a member holds moves; what nobody holds goes to the least loaded.
#pragma once

#include "layout/interval.hpp"
#include "layout/model_shape.hpp"
#include "layout/placement.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace regroup::planning {

inline constexpr std::int64_t kStateBytesPerElement = 12;  // fp32 master and two moments

// The state of one complete copy, as the planner sees it: kBlocksPerUnit dense blocks (each: that block of every dense
// unit) and experts of one size.
struct StateShape {
  std::int64_t dense_block_elements = 0;
  std::int64_t expert_elements = 0;
  int num_layers = 0;
  int experts_per_layer = 0;  // times slices
  int slices = 1;             // of an expert, one behind the other
  // The slots of a layer in the order in which members keep and take them: slice 0 of every expert, then slice 1, so
  // that each member's slices are of different experts. A popular expert is then everybody's work: with as many members
  // as slices each has a slice of every expert, whatever the router does.
  [[nodiscard]] int slot(int turn) const {
    return turn % (experts_per_layer / slices) * slices + turn / (experts_per_layer / slices);
  }
  [[nodiscard]] int num_experts() const { return num_layers * experts_per_layer; }
};

StateShape make_state_shape(const ModelShape& model);

// What one rank keeps. `experts`: positions in Group::expert_member, ascending.
struct Kept {
  IntervalSet dense;
  std::vector<int> experts;
  [[nodiscard]] bool empty() const { return dense.empty() && experts.empty(); }
  [[nodiscard]] std::int64_t elements(const StateShape& shape) const {
    return dense.size() * shape.dense_block_elements +
           static_cast<std::int64_t>(experts.size()) * shape.expert_elements;
  }
};

// [rank] what a placement gives to each of `num_ranks` ranks; nothing to those in no group.
std::vector<Kept> kept_in(const Placement& placement, std::size_t num_ranks);

// [rank] bytes of state that it keeps by the placement.
std::vector<std::int64_t> bytes_held(const ModelShape& model, const Placement& placement, std::size_t num_ranks);

struct GroupLayout {
  std::vector<IntervalSet> dense_blocks;  // [member]
  std::vector<int> expert_member;         // [layer * experts_per_layer + expert]
};

enum class Stickiness { kBalanced, kKeepAll };

// held[member]: what it kept before; several may hold the same. Never null, at least one.
GroupLayout lay_out(const StateShape& shape, const std::vector<const Kept*>& held, Stickiness stickiness);

// The fewest bytes (counted in elements) that members with these holdings must receive to reach shares that are even to
// one, dense and experts apart.
std::int64_t fewest_elements_to_move(const StateShape& shape, const std::vector<const Kept*>& held);

}  // namespace regroup::planning
