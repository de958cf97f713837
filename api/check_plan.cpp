#include "api/plan.hpp"
#include "base/address_text.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace regroup {
namespace {

using Violations = std::vector<std::string>;

bool is_node(const NodeId& node) { return !node.value.empty() && node.value.find('/') == std::string::npos; }

void check_address(const std::string& address, const std::string& whose, Violations& out) {
  if (const auto good = parse_address_text(address); !good) out.push_back(whose + ": " + good.error().context);
}

void check_participants(const Plan& plan, Violations& out) {
  std::map<std::tuple<NodeId, int>, std::string> seen;  // (node, slot): two lives of one slot are never in one plan
  const auto check = [&](const Participant& p, const std::string& where) {
    if (!is_node(p.worker.node))
      out.push_back(where + ": the node id '" + p.worker.node.value + "' is empty or holds a slash");
    check_address(p.address, where, out);
    check_address(p.agent_address, where + ": its agent", out);
    const auto [other, added] = seen.try_emplace({p.worker.node, p.worker.slot}, where);
    if (!added)
      out.push_back(where + ": slot " + std::to_string(p.worker.slot) + " of node " + p.worker.node.value + " is " +
                    other->second + " already");
  };
  if (plan.members.empty()) out.push_back("the plan has no members");
  for (std::size_t i = 0; i < plan.members.size(); ++i) check(plan.members[i], "member " + std::to_string(i));
  for (std::size_t i = 0; i < plan.donors.size(); ++i) check(plan.donors[i], "donor " + std::to_string(i));
  std::set<NodeId> nodes;
  for (const SnapshotDonor& donor : plan.snapshot_donors) {
    const std::string where = "snapshot donor " + donor.node.value;
    if (!is_node(donor.node)) out.push_back(where + ": the node id is empty or holds a slash");
    check_address(donor.agent_address, where + ": its agent", out);
    if (!nodes.insert(donor.node).second) out.push_back(where + " is named twice");
    if (donor.through.value < 0 || donor.through.value >= static_cast<int>(plan.members.size())) {
      out.push_back(where + ": rank " + std::to_string(donor.through.value) + ", which speaks for it, is not a member");
    }
  }
}

void check_ranks(const Group& group, const std::string& where, std::vector<bool>& used, Violations& out) {
  if (group.ranks.empty()) out.push_back(where + " has no ranks");
  for (std::size_t i = 0; i < group.ranks.size(); ++i) {
    const int rank = group.ranks[i].value;
    if (i > 0 && group.ranks[i - 1].value >= rank)
      out.push_back(where + ": its ranks are not ascending at rank " + std::to_string(rank));
    if (rank < 0 || rank >= static_cast<int>(used.size())) {
      out.push_back(where + ": rank " + std::to_string(rank) + " is not a member");
    } else if (used[rank]) {
      out.push_back(where + ": rank " + std::to_string(rank) + " is named twice in the placement");
    } else {
      used[rank] = true;
    }
  }
}

void check_shards(const Group& group, const std::string& where, const ModelShape& shape, Violations& out) {
  if (group.dense_blocks.size() != group.ranks.size()) {
    out.push_back(where + ": dense_blocks has " + std::to_string(group.dense_blocks.size()) + " entries for " +
                  std::to_string(group.ranks.size()) + " ranks");
  }
  std::vector<Interval> pieces;
  for (const IntervalSet& kept : group.dense_blocks)
    pieces.insert(pieces.end(), kept.intervals().begin(), kept.intervals().end());
  std::sort(pieces.begin(), pieces.end());
  int next = 0;
  for (const Interval& piece : pieces) {
    if (piece.lo < next)
      out.push_back(where + ": dense block " + std::to_string(piece.lo) + " has two owners or lies outside the unit");
    if (piece.lo > next) out.push_back(where + ": dense block " + std::to_string(next) + " has no owner");
    next = std::max(next, piece.hi);
  }
  if (next < kBlocksPerUnit) out.push_back(where + ": dense block " + std::to_string(next) + " has no owner");
  if (next > kBlocksPerUnit)
    out.push_back(where + ": dense block " + std::to_string(next - 1) + " lies outside the unit");

  const auto slots =
      static_cast<std::size_t>(shape.num_sparse_layers() * shape.num_local_experts * shape.expert_slices);
  if (group.expert_member.size() != slots) {
    out.push_back(where + ": expert_member has " + std::to_string(group.expert_member.size()) + " entries for " +
                  std::to_string(slots) + " experts");
  }
  for (std::size_t slot = 0; slot < group.expert_member.size(); ++slot) {
    const int member = group.expert_member[slot];
    if (member < 0 || member >= static_cast<int>(group.ranks.size())) {
      out.push_back(where + ": expert_member[" + std::to_string(slot) + "] is " + std::to_string(member) +
                    ", which is no position in the group");
    }
  }
}

void check_placement(const Plan& plan, const JobSpec& job, Violations& out) {
  const auto& groups = plan.placement.groups;
  if (groups.empty()) out.push_back("the placement has no groups");
  if (groups.size() > static_cast<std::size_t>(std::max(0, job.elastic.max_groups))) {
    out.push_back("the placement has " + std::to_string(groups.size()) + " groups, the job allows " +
                  std::to_string(job.elastic.max_groups));
  }
  std::vector<bool> used(plan.members.size());
  int chain = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const Group& group = groups[g];
    const std::string where = "group " + std::to_string(g);
    check_ranks(group, where, used, out);
    check_shards(group, where, job.model, out);
    if (group.first_chain != chain) {
      out.push_back(where + ": its chains start at " + std::to_string(group.first_chain) +
                    ", the group before ends at " + std::to_string(chain));
    }
    if (group.end_chain <= group.first_chain) out.push_back(where + " computes no chain");
    chain = group.end_chain;
  }
  if (!groups.empty() && chain != job.chains) {
    out.push_back("the groups' chains end at " + std::to_string(chain) + ", the job has " + std::to_string(job.chains));
  }
}

}  // namespace

std::vector<std::string> check_plan(const Plan& plan, const JobSpec& job) {
  Violations out;
  if (plan.epoch.value == 0) out.push_back("epoch 0 names no plan");
  if (plan.parent >= plan.epoch) {
    out.push_back("parent epoch " + std::to_string(plan.parent.value) + " is not before epoch " +
                  std::to_string(plan.epoch.value));
  }
  if (plan.job != job.name) out.push_back("the plan is for job '" + plan.job + "', not '" + job.name + "'");
  if (plan.ends && plan.when != When::kBoundary) out.push_back("a plan that ends the job begins at a step boundary");
  if (plan.reason.empty()) out.push_back("the plan has no reason");
  if (plan.checkpoint_step.has_value() == plan.checkpoint_path.empty()) {
    out.push_back("checkpoint_step and checkpoint_path must be given together or not at all");
  }
  if (plan.checkpoint_step && plan.checkpoint_step->value < 0) out.push_back("checkpoint_step is below 0");
  if (plan.origin == Origin::kFresh && plan.checkpoint_step)
    out.push_back("the plan starts fresh although a checkpoint exists");
  if (plan.detected_at_ms < 0 || plan.decided_at_ms < 0)
    out.push_back("detected_at_ms and decided_at_ms must be at least 0");
  check_participants(plan, out);
  check_placement(plan, job, out);
  return out;
}

}  // namespace regroup
