// group_layout.hpp: which member of a group keeps which dense blocks and which experts. Pure; a part of the planner.
//
// A group (one HSDP replica group) keeps one complete copy of the training state among its members. This divides the
// copy, given what each member holds already: whatever a member keeps need not be sent.
//
// kBalanced: shares differ by at most one dense block, and by at most one expert in each layer and over all layers. A
//   member keeps what it holds up to its share. Where experts do not divide evenly, some members carry one more in a
//   layer, other members in the next; heavy_shares.hpp chooses them so that few experts move.
// kKeepAll: nothing that a member holds moves. What nobody holds goes to the least loaded.
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
  int slices = 1;             // of an expert; the slots of one expert's slices follow each other
  // The order in which members take a layer's slots: slice 0 of every expert, then slice 1 of every expert, and so on.
  // Consecutive turns are of different experts. So with as many members as slices, every member gets one slice of every
  // expert, and the work of a popular expert is shared by all of them.
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

// held[member]: what it kept before, never null; several may hold the same. There is at least one member.
GroupLayout lay_out(const StateShape& shape, const std::vector<const Kept*>& held, Stickiness stickiness);

// How many elements members with these holdings must receive at least, so that shares differ by at most one (dense
// blocks and experts counted apart).
std::int64_t fewest_elements_to_move(const StateShape& shape, const std::vector<const Kept*>& held);

}  // namespace regroup::planning
