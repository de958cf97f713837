#include "coordinator/planner/group_layout.hpp"

#include "base/check.hpp"
#include "coordinator/planner/heavy_shares.hpp"
#include "coordinator/planner/owners.hpp"
#include "layout/units.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

namespace regroup::planning {
namespace {

std::vector<int> expert_owners(const StateShape& shape, const std::vector<const Kept*>& held) {
  std::vector<std::pair<int, int>> holders;
  for (std::size_t m = 0; m < held.size(); ++m) {
    for (int slot : held[m]->experts) holders.emplace_back(slot, static_cast<int>(m));
  }
  return choose_owners(holders, shape.num_experts(), static_cast<int>(held.size()));
}

std::vector<int> block_owners(const std::vector<const Kept*>& held) {
  std::vector<std::pair<int, int>> holders;
  for (std::size_t m = 0; m < held.size(); ++m) {
    for (const Interval& run : held[m]->dense.intervals()) {
      for (int block = run.lo; block < run.hi; ++block) holders.emplace_back(block, static_cast<int>(m));
    }
  }
  return choose_owners(holders, kBlocksPerUnit, static_cast<int>(held.size()));
}

// One layer's experts: members give up what is above their share, those below it take what is free, both in the order
// of slots.
void settle_layer(const StateShape& shape, int* owner, int share, const std::vector<int>& heavy,
                  std::vector<int>& room) {
  std::fill(room.begin(), room.end(), share);
  for (int member : heavy) ++room[member];
  for (int turn = 0; turn < shape.experts_per_layer; ++turn) {
    const int e = shape.slot(turn);
    if (owner[e] == kNobody) continue;
    if (room[owner[e]] == 0) {
      owner[e] = kNobody;
    } else {
      --room[owner[e]];
    }
  }
  int taker = 0;
  for (int turn = 0; turn < shape.experts_per_layer; ++turn) {
    const int e = shape.slot(turn);
    if (owner[e] != kNobody) continue;
    while (room[taker] == 0) ++taker;
    owner[e] = taker;
    --room[taker];
  }
}

void balance_experts(const StateShape& shape, int num_members, std::vector<int>& owner) {
  const int share = shape.experts_per_layer / num_members;
  const int num_heavy = shape.experts_per_layer % num_members;
  std::vector<std::vector<int>> wants(static_cast<std::size_t>(shape.num_layers));
  std::vector<int> count(static_cast<std::size_t>(num_members));
  for (int layer = 0; layer < shape.num_layers && num_heavy > 0; ++layer) {
    const int* first = &owner[static_cast<std::size_t>(layer) * shape.experts_per_layer];
    for (int e = 0; e < shape.experts_per_layer; ++e) {
      if (first[e] != kNobody && ++count[first[e]] == share + 1) wants[layer].push_back(first[e]);
    }
    for (int e = 0; e < shape.experts_per_layer; ++e) {
      if (first[e] != kNobody) count[first[e]] = 0;
    }
    std::sort(wants[layer].begin(), wants[layer].end());
  }
  const auto heavy = choose_heavy(num_members, num_heavy, wants);
  for (int layer = 0; layer < shape.num_layers; ++layer) {
    settle_layer(shape, &owner[static_cast<std::size_t>(layer) * shape.experts_per_layer], share, heavy[layer], count);
  }
}

// Unowned experts go to the member with the fewest in that layer, then in total.
void fill_experts(const StateShape& shape, int num_members, std::vector<int>& owner) {
  std::vector<int> total(static_cast<std::size_t>(num_members));
  for (int member : owner) {
    if (member != kNobody) ++total[member];
  }
  for (int layer = 0; layer < shape.num_layers; ++layer) {
    int* first = &owner[static_cast<std::size_t>(layer) * shape.experts_per_layer];
    std::vector<int> here(static_cast<std::size_t>(num_members));
    for (int e = 0; e < shape.experts_per_layer; ++e) {
      if (first[e] != kNobody) ++here[first[e]];
    }
    for (int e = 0; e < shape.experts_per_layer; ++e) {
      if (first[e] != kNobody) continue;
      int best = 0;
      for (int m = 1; m < num_members; ++m) {
        if (std::pair(here[m], total[m]) < std::pair(here[best], total[best])) best = m;
      }
      first[e] = best;
      ++here[best];
      ++total[best];
    }
  }
}

// How many dense blocks each member shall have; they differ by at most one. The larger shares go to members that hold
// as many already, then to those with the fewest experts.
std::vector<int> dense_shares(const std::vector<int>& block_owner, const std::vector<int>& expert_owner,
                              int num_members) {
  std::vector<int> load(static_cast<std::size_t>(num_members));
  std::vector<int> experts(static_cast<std::size_t>(num_members));
  for (int member : block_owner) {
    if (member != kNobody) ++load[member];
  }
  for (int member : expert_owner) ++experts[member];
  const int share = kBlocksPerUnit / num_members;
  std::vector<int> order(static_cast<std::size_t>(num_members));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int a, int b) {
    const auto key = [&](int m) { return std::tuple(load[m] > share ? 0 : 1, experts[m], m); };
    return key(a) < key(b);
  });
  std::vector<int> shares(static_cast<std::size_t>(num_members), share);
  for (int i = 0; i < kBlocksPerUnit % num_members; ++i) ++shares[order[i]];
  return shares;
}

// Members give up what is above their share, smallest runs first, so that few and long runs remain.
void trim_blocks(const std::vector<int>& shares, std::vector<int>& owner) {
  std::vector<std::pair<Interval, int>> runs;
  for (int block = 0; block < kBlocksPerUnit;) {
    int end = block + 1;
    while (end < kBlocksPerUnit && owner[end] == owner[block]) ++end;
    if (owner[block] != kNobody) runs.push_back({{block, end}, owner[block]});
    block = end;
  }
  std::stable_sort(runs.begin(), runs.end(),
                   [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
  std::vector<int> room = shares;
  for (const auto& [run, member] : runs) {
    const int keeps = std::min(room[member], run.size());
    room[member] -= keeps;
    std::fill(owner.begin() + run.lo + keeps, owner.begin() + run.hi, kNobody);
  }
}

// Free blocks continue the run before them where that member has room, else go to the member with the most room.
void fill_blocks(std::vector<int> room, std::vector<int>& owner) {
  for (int member : owner) {
    if (member != kNobody) --room[member];
  }
  int current = kNobody;
  for (int& member : owner) {
    if (member == kNobody) {
      if (current == kNobody || room[current] <= 0)
        current = static_cast<int>(std::max_element(room.begin(), room.end()) - room.begin());
      member = current;
      --room[current];
    } else {
      current = member;
    }
  }
}

std::int64_t fewest_to_move(std::int64_t num_items, const std::vector<std::int64_t>& held) {
  const auto members = static_cast<std::int64_t>(held.size());
  const std::int64_t share = num_items / members;
  std::int64_t larger = num_items % members;  // so many shares have one more: free for members that hold as many
  std::int64_t moves = 0;
  for (std::int64_t h : held) {
    moves += std::max<std::int64_t>(0, share - h);
    if (h > share && larger > 0) --larger;
  }
  return moves + larger;
}

}  // namespace

StateShape make_state_shape(const ModelShape& model) {
  StateShape shape;
  shape.num_layers = static_cast<int>(model.num_sparse_layers());
  shape.experts_per_layer = static_cast<int>(model.num_local_experts * model.expert_slices);
  shape.slices = model.expert_slices;
  for (const Unit& unit : one_layer_of_each_kind(model)) {
    if (unit.kind == UnitKind::kExpert) {
      shape.expert_elements = unit.padded_numel();
    } else {
      shape.dense_block_elements += unit.block_elements * layers_like(model, unit);
    }
  }
  return shape;
}

std::vector<Kept> kept_in(const Placement& placement, std::size_t num_ranks) {
  std::vector<Kept> kept(num_ranks);
  for (const Group& group : placement.groups) {
    std::vector<Kept*> of;  // [member]
    for (std::size_t member = 0; member < group.ranks.size(); ++member) {
      of.push_back(&kept.at(static_cast<std::size_t>(group.ranks[member].value)));
      of.back()->dense = group.dense_blocks.at(member);
      of.back()->experts.reserve(group.expert_member.size() / group.ranks.size() + 1);
    }
    for (std::size_t slot = 0; slot < group.expert_member.size(); ++slot)
      of.at(static_cast<std::size_t>(group.expert_member[slot]))->experts.push_back(static_cast<int>(slot));
  }
  return kept;
}

std::vector<std::int64_t> bytes_held(const ModelShape& model, const Placement& placement, std::size_t num_ranks) {
  const StateShape shape = make_state_shape(model);
  std::vector<std::int64_t> bytes;
  for (const Kept& kept : kept_in(placement, num_ranks)) bytes.push_back(kept.elements(shape) * kStateBytesPerElement);
  return bytes;
}

GroupLayout lay_out(const StateShape& shape, const std::vector<const Kept*>& held, Stickiness stickiness) {
  CHECK(!held.empty(), "a group without members");
  const int num_members = static_cast<int>(held.size());
  GroupLayout layout;
  layout.expert_member = expert_owners(shape, held);
  std::vector<int> block_owner = block_owners(held);
  if (stickiness == Stickiness::kBalanced) {
    balance_experts(shape, num_members, layout.expert_member);
    const std::vector<int> shares = dense_shares(block_owner, layout.expert_member, num_members);
    trim_blocks(shares, block_owner);
    fill_blocks(shares, block_owner);
  } else {
    fill_experts(shape, num_members, layout.expert_member);
    fill_blocks(dense_shares(block_owner, layout.expert_member, num_members), block_owner);
  }
  layout.dense_blocks.resize(held.size());
  for (int block = 0; block < kBlocksPerUnit; ++block) layout.dense_blocks[block_owner[block]].add({block, block + 1});
  return layout;
}

std::int64_t fewest_elements_to_move(const StateShape& shape, const std::vector<const Kept*>& held) {
  std::vector<std::int64_t> blocks;
  std::vector<std::int64_t> experts;
  for (const Kept* kept : held) {
    blocks.push_back(kept->dense.size());
    experts.push_back(static_cast<std::int64_t>(kept->experts.size()));
  }
  return fewest_to_move(kBlocksPerUnit, blocks) * shape.dense_block_elements +
         fewest_to_move(shape.num_experts(), experts) * shape.expert_elements;
}

}  // namespace regroup::planning
