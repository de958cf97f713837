#include "coordinator/planner/planner.hpp"

#include "base/bytes_text.hpp"
#include "base/check.hpp"
#include "coordinator/planner/computing.hpp"
#include "coordinator/planner/even_out.hpp"
#include "coordinator/planner/group_layout.hpp"
#include "coordinator/planner/grouping.hpp"
#include "coordinator/planner/memory_need.hpp"
#include "coordinator/planner/planner_world.hpp"

#include <algorithm>
#include <map>
#include <queue>

namespace regroup::planning {
namespace {

Group make_group(const std::vector<int>& ranks, GroupLayout layout) {
  Group group;
  for (int rank : ranks) group.ranks.emplace_back(rank);
  group.dense_blocks = std::move(layout.dense_blocks);
  group.expert_member = std::move(layout.expert_member);
  return group;
}

void set_chains(Placement& placement, const JobSpec& job) {
  std::vector<int> sizes;
  for (const Group& group : placement.groups) sizes.push_back(static_cast<int>(group.ranks.size()));
  const auto cuts = cut_chains(sizes, job.chains, job.microbatches);
  for (std::size_t g = 0; g < cuts.size(); ++g) {
    placement.groups[g].first_chain = cuts[g].first;
    placement.groups[g].end_chain = cuts[g].end;
  }
}

std::string sizes_text(const Placement& placement) {
  std::map<std::size_t, int, std::greater<>> count;
  for (const Group& group : placement.groups) ++count[group.ranks.size()];
  std::string text;
  for (const auto& [size, times] : count) {
    text += (text.empty() ? "" : " and ") + (times > 1 ? std::to_string(times) + " of " : std::string("one of ")) +
            std::to_string(size);
  }
  return std::to_string(placement.groups.size()) + (placement.groups.size() == 1 ? " group, " : " groups, ") + text;
}

// Elements that a group's members receive, and the fewest that they could.
struct Moves {
  std::int64_t all = 0, fewest = 0;
};

Moves moves_of(const World& world, const StateShape& shape, const Group& group) {
  Moves moves;
  std::vector<std::int64_t> had_expert(group.ranks.size());
  std::vector<std::int64_t> keeps_expert(group.ranks.size());
  std::vector<int> ranks;
  for (std::size_t m = 0; m < group.ranks.size(); ++m) {
    const Kept& kept = world.kept[group.ranks[m].value];
    ranks.push_back(group.ranks[m].value);
    moves.all += group.dense_blocks[m].subtract(kept.dense).size() * shape.dense_block_elements;
    for (int slot : kept.experts) had_expert[m] += group.expert_member[slot] == static_cast<int>(m);
  }
  for (int member : group.expert_member) ++keeps_expert[member];
  for (std::size_t m = 0; m < ranks.size(); ++m) moves.all += (keeps_expert[m] - had_expert[m]) * shape.expert_elements;
  moves.fewest = fewest_elements_to_move(shape, kept_by(world, ranks));
  return moves;
}

// Adds members, bytes and reason to a placement. `like`: from alike(), when groups that are alike have equal layouts;
// then bytes are counted once for all of them. Empty: count each group.
PlanningResult finish(const World& world, const StateShape& shape, Placement placement, const std::string& why,
                      const std::vector<std::size_t>& like = {}) {
  Planned planned;
  for (const Candidate* c : world.workers) planned.members.push_back({c->worker, c->address, c->agent_address});
  std::vector<Moves> moves;  // [group]
  Moves sum;
  int computing = 0;
  for (std::size_t g = 0; g < placement.groups.size(); ++g) {
    const Group& group = placement.groups[g];
    moves.push_back(like.empty() || like[g] == g ? moves_of(world, shape, group) : moves[like[g]]);
    sum.all += moves[g].all;
    sum.fewest += moves[g].fewest;
    computing += static_cast<int>(group.ranks.size());
  }
  planned.bytes_to_move = sum.all * kStateBytesPerElement;
  planned.bytes_bound = sum.fewest * kStateBytesPerElement;
  planned.reason = sizes_text(placement);
  if (computing < world.size()) planned.reason += ", " + std::to_string(world.size() - computing) + " spare";
  planned.reason += "; " + why + "; " + bytes_text(planned.bytes_to_move) + " to move";
  planned.placement = std::move(placement);
  PlanningResult result;
  result.reason = planned.reason;
  result.planned = std::move(planned);
  return result;
}

PlanningResult nothing(std::string reason) {
  PlanningResult result;
  result.reason = std::move(reason);
  return result;
}

// ---- the two goals ----

PlanningResult balanced(const World& world, const PlannerInput& input, const StateShape& shape) {
  const JobSpec& job = *input.job;
  const Computing computing = choose_computing(world, job);
  if (computing.ranks.empty()) return nothing(too_little_memory(world, job));
  const int total = static_cast<int>(computing.ranks.size());
  const int allowed = std::min({job.elastic.max_groups, job.chains, total});
  int num_groups = allowed;
  while (num_groups > 1 && memory_needed(job, total / num_groups) > computing.least_memory) --num_groups;

  Placement placement;
  const auto groups = form_groups({computing.ranks, world.old_group, &world.kept, num_groups}, shape);
  const auto like = alike(world, input.previous, groups);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    GroupLayout layout =
        like[g] == g ? lay_out(shape, kept_by(world, groups[g]), Stickiness::kBalanced)
                     : GroupLayout{placement.groups[like[g]].dense_blocks, placement.groups[like[g]].expert_member};
    placement.groups.push_back(make_group(groups[g], std::move(layout)));
  }
  set_chains(placement, job);
  std::string why = "balanced";
  std::optional<RankLoad> rank_load;
  if (input.load != nullptr && job.elastic.load_gain > 0)
    rank_load = even_out_groups(job.model, shape, *input.load, job.elastic.load_gain, placement);
  if (rank_load) why += ", " + to_string(*rank_load);
  if (num_groups < allowed) why += ", memory allows no more groups";
  if (computing.num_able < world.size()) {
    why +=
        ", " + std::to_string(world.size() - computing.num_able) + " worker(s) have too little memory for their share";
  }
  PlanningResult result = finish(world, shape, std::move(placement), why, like);
  result.planned->rank_load = rank_load;
  return result;
}

// An old group is intact when every member that keeps something of it survives. `ranks`: its surviving members.
struct Intact {
  int old_group = 0;
  std::vector<int> ranks;  // ascending
};

std::vector<Intact> intact_groups(const World& world, const Plan& previous) {
  const auto& groups = previous.placement.groups;
  std::vector<std::vector<int>> alive(groups.size());
  for (int rank = 0; rank < world.size(); ++rank) {
    if (world.old_group[rank] >= 0) alive[world.old_group[rank]].push_back(rank);
  }
  std::vector<Intact> out;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    int blocks = 0;
    std::size_t experts = 0;
    for (int rank : alive[g]) {
      blocks += world.kept[rank].dense.size();
      experts += world.kept[rank].experts.size();
    }
    if (!alive[g].empty() && blocks == kBlocksPerUnit && experts == groups[g].expert_member.size())
      out.push_back({static_cast<int>(g), alive[g]});
  }
  return out;
}

PlanningResult soonest_with(const World& world, const JobSpec& job, const StateShape& shape, const Plan& previous,
                            std::vector<Intact> intact) {
  std::vector<bool> seated(static_cast<std::size_t>(world.size()));
  int computing = 0;
  std::priority_queue<std::pair<std::size_t, std::size_t>, std::vector<std::pair<std::size_t, std::size_t>>,
                      std::greater<>>
      smallest;
  for (std::size_t g = 0; g < intact.size(); ++g) {
    for (int rank : intact[g].ranks) seated[rank] = true;
    computing += static_cast<int>(intact[g].ranks.size());
    smallest.emplace(intact[g].ranks.size(), g);
  }
  for (int rank = 0; rank < world.size() && computing < job.microbatches; ++rank) {
    if (seated[rank]) continue;
    const std::size_t g = smallest.top().second;
    smallest.pop();
    intact[g].ranks.push_back(rank);
    smallest.emplace(intact[g].ranks.size(), g);
    ++computing;
  }
  Placement placement;
  for (Intact& group : intact) {
    std::sort(group.ranks.begin(), group.ranks.end());
    const Group& old = previous.placement.groups[group.old_group];
    GroupLayout layout{std::vector<IntervalSet>(group.ranks.size()), old.expert_member};
    std::vector<int> position(old.ranks.size(), -1);  // old member -> member
    for (std::size_t m = 0; m < group.ranks.size(); ++m) {
      const int rank = group.ranks[m];
      if (world.old_group[rank] != group.old_group) continue;
      position[world.old_member[rank]] = static_cast<int>(m);
      layout.dense_blocks[m] = world.kept[rank].dense;
    }
    for (int& member : layout.expert_member) member = position[member];
    placement.groups.push_back(make_group(group.ranks, std::move(layout)));
  }
  set_chains(placement, job);
  const auto num_old = previous.placement.groups.size();
  return finish(world, shape, std::move(placement),
                std::to_string(placement.groups.size()) + " of " + std::to_string(num_old) +
                    " groups are intact and keep their owners, the others compute with them");
}

PlanningResult soonest_without(const World& world, const JobSpec& job, const StateShape& shape) {
  const std::vector<int> ranks = choose_computing(world, job).ranks;
  if (ranks.empty()) return nothing(too_little_memory(world, job));
  Placement placement;
  placement.groups.push_back(make_group(ranks, lay_out(shape, kept_by(world, ranks), Stickiness::kKeepAll)));
  set_chains(placement, job);
  return finish(world, shape, std::move(placement),
                "no group is intact: the survivors form one and keep what they hold");
}

}  // namespace

PlanningResult make_placement(const PlannerInput& input) {
  CHECK(input.job != nullptr, "a planner without a job");
  const JobSpec& job = *input.job;
  if (input.candidates.empty()) return nothing("no worker is ready");
  const StateShape shape = make_state_shape(job.model);
  const World world = make_world(input);
  if (input.goal == Goal::kBalanced || input.previous == nullptr) return balanced(world, input, shape);
  std::vector<Intact> intact = intact_groups(world, *input.previous);
  if (intact.empty()) return soonest_without(world, job, shape);
  return soonest_with(world, job, shape, *input.previous, std::move(intact));
}

}  // namespace regroup::planning
