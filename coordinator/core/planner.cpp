#include "coordinator/core/planner.hpp"

#include "base/check.hpp"
#include "coordinator/core/even_out.hpp"
#include "coordinator/core/group_layout.hpp"
#include "coordinator/core/grouping.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <queue>
#include <tuple>

namespace regroup {
namespace {

using namespace planning;

// The candidates in the order of their ranks, with what they kept in the previous plan.
struct World {
  std::vector<const Candidate*> workers;  // [rank]
  std::vector<int> old_group;             // [rank] -1: newcomer or spare
  std::vector<int> old_member;
  std::vector<Kept> kept;
  [[nodiscard]] int size() const { return static_cast<int>(workers.size()); }
};

World make_world(const PlannerInput& input) {
  std::vector<const Candidate*> by_id;
  for (const Candidate& candidate : input.candidates) by_id.push_back(&candidate);
  std::sort(by_id.begin(), by_id.end(), [](const Candidate* a, const Candidate* b) { return a->worker < b->worker; });
  for (std::size_t i = 1; i < by_id.size(); ++i) CHECK(by_id[i - 1]->worker < by_id[i]->worker, "worker named twice:", to_string(by_id[i]->worker));

  const auto& old_members = input.previous != nullptr ? input.previous->members : std::vector<Participant>{};
  World world;
  std::vector<bool> survives(by_id.size());
  std::vector<int> new_rank(old_members.size(), -1);
  for (std::size_t old = 0; old < old_members.size(); ++old) {
    const auto found = std::lower_bound(by_id.begin(), by_id.end(), old_members[old].worker, [](const Candidate* c, const WorkerId& id) { return c->worker < id; });
    if (found == by_id.end() || (*found)->worker != old_members[old].worker) continue;
    survives[found - by_id.begin()] = true;
    new_rank[old] = world.size();
    world.workers.push_back(*found);
  }
  const auto first_newcomer = world.workers.size();
  for (std::size_t i = 0; i < by_id.size(); ++i) {
    if (!survives[i]) world.workers.push_back(by_id[i]);
  }
  // Neighbours in rank form a group at a start: one host or zone lost then breaks few groups.
  std::stable_sort(world.workers.begin() + static_cast<std::ptrdiff_t>(first_newcomer), world.workers.end(),
                   [](const Candidate* a, const Candidate* b) { return std::tie(a->zone, a->host) < std::tie(b->zone, b->host); });

  world.old_group.assign(world.workers.size(), -1);
  world.old_member.assign(world.workers.size(), -1);
  world.kept.resize(world.workers.size());
  if (input.previous == nullptr) return world;
  std::vector<Kept> kept = kept_in(input.previous->placement, old_members.size());
  for (std::size_t old = 0; old < kept.size(); ++old) {
    if (new_rank[old] >= 0) world.kept[new_rank[old]] = std::move(kept[old]);
  }
  const auto& groups = input.previous->placement.groups;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (std::size_t m = 0; m < groups[g].ranks.size(); ++m) {
      const int rank = new_rank.at(static_cast<std::size_t>(groups[g].ranks[m].value));
      if (rank < 0) continue;
      world.old_group[rank] = static_cast<int>(g);
      world.old_member[rank] = static_cast<int>(m);
    }
  }
  return world;
}

// Who may compute: at most one worker a microbatch. Those that hold state come first, then earlier ranks. Ascending.
std::vector<int> choose_computing(const World& world, const std::vector<int>& able, int most) {
  std::vector<int> chosen = able;
  if (static_cast<int>(chosen.size()) > most) {
    std::stable_partition(chosen.begin(), chosen.end(), [&](int rank) { return world.old_group[rank] >= 0; });
    std::stable_partition(chosen.begin(), chosen.end(), [&](int rank) { return !world.kept[rank].empty(); });
    chosen.resize(static_cast<std::size_t>(most));
    std::sort(chosen.begin(), chosen.end());
  }
  return chosen;
}

std::vector<const Kept*> kept_by(const World& world, const std::vector<int>& ranks) {
  std::vector<const Kept*> out;
  for (int rank : ranks) out.push_back(&world.kept[rank]);
  return out;
}

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
    text += (text.empty() ? "" : " and ") + (times > 1 ? std::to_string(times) + " of " : std::string("one of ")) + std::to_string(size);
  }
  return std::to_string(placement.groups.size()) + (placement.groups.size() == 1 ? " group, " : " groups, ") + text;
}

std::string mib(std::int64_t bytes) { return std::to_string((bytes + (1 << 19)) >> 20) + " MiB"; }

// Members, bytes and reason; the placement is made.
PlanningResult finish(const World& world, const StateShape& shape, Placement placement, const std::string& why) {
  Planned planned;
  for (const Candidate* c : world.workers) planned.members.push_back({c->worker, c->address, c->agent_address});
  std::int64_t moves = 0;
  std::int64_t fewest = 0;
  int computing = 0;
  for (const Group& group : placement.groups) {
    std::vector<std::int64_t> had_expert(group.ranks.size());
    std::vector<std::int64_t> keeps_expert(group.ranks.size());
    std::vector<int> ranks;
    for (std::size_t m = 0; m < group.ranks.size(); ++m) {
      const Kept& kept = world.kept[group.ranks[m].value];
      ranks.push_back(group.ranks[m].value);
      moves += group.dense_blocks[m].subtract(kept.dense).size() * shape.dense_block_elements;
      for (int slot : kept.experts) had_expert[m] += group.expert_member[slot] == static_cast<int>(m);
    }
    for (int member : group.expert_member) ++keeps_expert[member];
    for (std::size_t m = 0; m < ranks.size(); ++m) moves += (keeps_expert[m] - had_expert[m]) * shape.expert_elements;
    fewest += fewest_elements_to_move(shape, kept_by(world, ranks));
    computing += static_cast<int>(ranks.size());
  }
  planned.bytes_to_move = moves * kStateBytesPerElement;
  planned.bytes_bound = fewest * kStateBytesPerElement;
  planned.reason = sizes_text(placement);
  if (computing < world.size()) planned.reason += ", " + std::to_string(world.size() - computing) + " spare";
  planned.reason += "; " + why + "; " + mib(planned.bytes_to_move) + " to move";
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

// ---- memory -----------------------------------------------------------------------------------------------------------------------------

std::int64_t memory_of(const JobSpec& job, const Candidate& candidate) {
  if (job.elastic.worker_memory_bytes > 0) return job.elastic.worker_memory_bytes;
  return candidate.memory_bytes > 0 ? candidate.memory_bytes : std::numeric_limits<std::int64_t>::max();
}

// The ranks that can carry their share of one copy among them: the smallest workers drop out until the rest fits. Empty when nothing fits.
struct Able {
  std::vector<int> ranks;          // ascending
  std::int64_t least_memory = 0;
};

Able fits_in_memory(const World& world, const JobSpec& job) {
  std::vector<std::pair<std::int64_t, int>> by_memory;  // largest first
  for (int rank = 0; rank < world.size(); ++rank) by_memory.emplace_back(memory_of(job, *world.workers[rank]), rank);
  std::stable_sort(by_memory.begin(), by_memory.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  while (!by_memory.empty()) {
    const std::int64_t least = by_memory.back().first;
    const int computing = std::min(static_cast<int>(by_memory.size()), job.microbatches);
    if (memory_needed(job, computing) <= least) {
      Able able;
      able.least_memory = least;
      for (const auto& [memory, rank] : by_memory) able.ranks.push_back(rank);
      std::sort(able.ranks.begin(), able.ranks.end());
      return able;
    }
    while (!by_memory.empty() && by_memory.back().first == least) by_memory.pop_back();
  }
  return {};
}

PlanningResult too_little_memory(const World& world, const JobSpec& job) {
  std::int64_t largest = 0;
  for (const Candidate* c : world.workers) largest = std::max(largest, memory_of(job, *c));
  return nothing("one copy of the training state does not fit: on " + std::to_string(world.size()) + " workers each needs " + mib(memory_needed(job, world.size())) +
                 ", the largest has " + mib(largest) + "; add workers or memory");
}

// ---- the two goals ----------------------------------------------------------------------------------------------------------------------

PlanningResult balanced(const World& world, const JobSpec& job, const StateShape& shape, const std::vector<std::int64_t>* expert_load) {
  const Able able = fits_in_memory(world, job);
  if (able.ranks.empty()) return too_little_memory(world, job);
  const std::vector<int> ranks = choose_computing(world, able.ranks, job.microbatches);
  const int total = static_cast<int>(ranks.size());
  const int allowed = std::min({job.elastic.max_groups, job.chains, total});
  int num_groups = allowed;
  while (num_groups > 1 && memory_needed(job, total / num_groups) > able.least_memory) --num_groups;

  Placement placement;
  std::map<std::size_t, GroupLayout> empty_layouts;  // groups that hold nothing yet differ in size only
  for (const auto& members : form_groups({ranks, world.old_group, &world.kept, num_groups}, shape)) {
    const auto held = kept_by(world, members);
    if (std::all_of(held.begin(), held.end(), [](const Kept* kept) { return kept->empty(); })) {
      auto [layout, added] = empty_layouts.try_emplace(members.size());
      if (added) layout->second = lay_out(shape, held, Stickiness::kBalanced);
      placement.groups.push_back(make_group(members, layout->second));
    } else {
      placement.groups.push_back(make_group(members, lay_out(shape, held, Stickiness::kBalanced)));
    }
  }
  set_chains(placement, job);
  std::string why = "balanced";
  std::optional<RankLoad> rank_load;
  if (expert_load != nullptr) {
    rank_load = even_out_groups(job.model, shape, *expert_load, placement);
    why += ", " + to_string(*rank_load);
  }
  if (num_groups < allowed) why += ", memory allows no more groups";
  if (able.ranks.size() < world.workers.size()) {
    why += ", " + std::to_string(world.workers.size() - able.ranks.size()) + " worker(s) have too little memory for their share";
  }
  PlanningResult result = finish(world, shape, std::move(placement), why);
  result.planned->rank_load = rank_load;
  return result;
}

// Old groups of which every member that keeps something survives, with their surviving members.
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
    if (!alive[g].empty() && blocks == kBlocksPerUnit && experts == groups[g].expert_member.size()) out.push_back({static_cast<int>(g), alive[g]});
  }
  return out;
}

PlanningResult soonest_with(const World& world, const JobSpec& job, const StateShape& shape, const Plan& previous, std::vector<Intact> intact) {
  std::vector<bool> seated(static_cast<std::size_t>(world.size()));
  int computing = 0;
  std::priority_queue<std::pair<std::size_t, std::size_t>, std::vector<std::pair<std::size_t, std::size_t>>, std::greater<>> smallest;
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
                std::to_string(placement.groups.size()) + " of " + std::to_string(num_old) + " groups are intact and keep their owners, the others compute with them");
}

PlanningResult soonest_without(const World& world, const JobSpec& job, const StateShape& shape) {
  const Able able = fits_in_memory(world, job);
  if (able.ranks.empty()) return too_little_memory(world, job);
  const std::vector<int> ranks = choose_computing(world, able.ranks, job.microbatches);
  Placement placement;
  placement.groups.push_back(make_group(ranks, lay_out(shape, kept_by(world, ranks), Stickiness::kKeepAll)));
  set_chains(placement, job);
  return finish(world, shape, std::move(placement), "no group is intact: the survivors form one and keep what they hold");
}

}  // namespace

PlanningResult make_placement(const PlannerInput& input) {
  CHECK(input.job != nullptr, "a planner without a job");
  const JobSpec& job = *input.job;
  if (input.candidates.empty()) return nothing("no worker is ready");
  const StateShape shape = make_state_shape(job.model);
  const World world = make_world(input);
  if (input.goal == Goal::kBalanced || input.previous == nullptr) return balanced(world, job, shape, input.expert_load);
  std::vector<Intact> intact = intact_groups(world, *input.previous);
  if (intact.empty()) return soonest_without(world, job, shape);
  return soonest_with(world, job, shape, *input.previous, std::move(intact));
}

}  // namespace regroup
