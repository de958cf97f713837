// planner_world.hpp: jobs, workers and plans for the planner's tests.
#pragma once

#include "coordinator/planner/planner.hpp"
#include "tests/support/tiny_job.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace regroup::planning::testing {

inline JobSpec planner_job(int layers, int experts, int max_groups, int chains = 8, int microbatches = 16) {
  JobSpec job = regroup::testing::tiny_job();
  job.model.num_hidden_layers = layers;
  job.model.num_local_experts = experts;
  job.model.num_experts_per_tok = 1;
  job.microbatches = microbatches;
  job.chains = chains;
  job.elastic.max_groups = max_groups;
  return job;
}

inline Candidate candidate(int number, std::int64_t memory = 0) {
  char name[16];
  std::snprintf(name, sizeof name, "n%05d", number);
  return {WorkerId{NodeId(name), 1, 0, 0},
          std::string("unix:/run/") + name,
          std::string("unix:/run/") + name + "-agent",
          name,
          "",
          memory};
}

inline std::vector<Candidate> candidates(const std::vector<int>& numbers) {
  std::vector<Candidate> out;
  for (int number : numbers) out.push_back(candidate(number));
  return out;
}

// As a router gives them: some experts get many times what others do.
inline std::vector<std::int64_t> random_load(const JobSpec& job, std::mt19937& random) {
  std::vector<std::int64_t> load(static_cast<std::size_t>(job.model.num_hidden_layers * job.model.num_local_experts));
  for (std::int64_t& tokens : load) tokens = 1 << random() % 10;
  return load;
}

inline LoadRecord load_record(std::vector<std::int64_t> now, std::vector<std::int64_t> before) {
  return {Epoch(1), Step(16), std::move(now), std::move(before)};
}
inline LoadRecord steady(const std::vector<std::int64_t>& load) { return load_record(load, load); }

inline Plan next_plan(const JobSpec& job, const Plan* previous, const Planned& planned) {
  Plan plan;
  plan.epoch = Epoch(previous != nullptr ? previous->epoch.value + 1 : 1);
  plan.parent = Epoch(plan.epoch.value - 1);
  plan.job = job.name;
  plan.reason = planned.reason;
  plan.members = planned.members;
  plan.placement = planned.placement;
  return plan;
}

inline std::string violations(const Plan& plan, const JobSpec& job) {
  std::string text;
  for (const std::string& violation : check_plan(plan, job)) text += violation + "; ";
  return text;
}

// Number of the node that a rank runs on.
inline int number_of(const Plan& plan, Rank rank) {
  return std::stoi(plan.members.at(static_cast<std::size_t>(rank.value)).worker.node.value.substr(1));
}

// What a worker keeps in a plan, as (dense blocks, experts).
struct KeptOf {
  IntervalSet dense;
  std::vector<int> experts;
};
inline KeptOf kept_of(const Plan& plan, const WorkerId& worker) {
  KeptOf out;
  for (const Group& group : plan.placement.groups) {
    for (std::size_t m = 0; m < group.ranks.size(); ++m) {
      if (plan.members.at(static_cast<std::size_t>(group.ranks[m].value)).worker != worker) continue;
      out.dense = group.dense_blocks[m];
      for (std::size_t slot = 0; slot < group.expert_member.size(); ++slot) {
        if (group.expert_member[slot] == static_cast<int>(m)) out.experts.push_back(static_cast<int>(slot));
      }
    }
  }
  return out;
}

// Bytes of state that workers keep in `plan` and did not in `previous`, counted apart from the planner.
inline std::int64_t bytes_moved(const JobSpec& job, const Plan* previous, const Plan& plan) {
  std::int64_t dense_block = 0;
  std::int64_t expert = 0;
  for (const Unit& unit : make_units(job.model)) {
    if (unit.is_expert()) {
      expert = unit.padded_numel() * 12;
    } else {
      dense_block += unit.block_elements * 12;
    }
  }
  std::int64_t bytes = 0;
  for (const Participant& member : plan.members) {
    const KeptOf now = kept_of(plan, member.worker);
    const KeptOf before = previous != nullptr ? kept_of(*previous, member.worker) : KeptOf{};
    bytes += now.dense.subtract(before.dense).size() * dense_block;
    for (int slot : now.experts)
      bytes += std::binary_search(before.experts.begin(), before.experts.end(), slot) ? 0 : expert;
  }
  return bytes;
}

// Even to one: experts in each layer and in total, dense blocks, and the groups' sizes.
inline void expect_balanced(const JobSpec& job, const Plan& plan) {
  const int layers = static_cast<int>(job.model.num_hidden_layers);
  // each slice has a place of its own
  const int experts = static_cast<int>(job.model.num_local_experts) * job.model.expert_slices;
  std::vector<std::size_t> sizes;
  for (const Group& group : plan.placement.groups) {
    const auto members = group.ranks.size();
    sizes.push_back(members);
    std::vector<int> total(members);
    for (int layer = 0; layer < layers; ++layer) {
      std::vector<int> here(members);
      for (int e = 0; e < experts; ++e) {
        const auto member =
            static_cast<std::size_t>(group.expert_member[static_cast<std::size_t>(layer * experts + e)]);
        ++here[member];
        ++total[member];
      }
      const auto [least, most] = std::minmax_element(here.begin(), here.end());
      EXPECT_LE(*most - *least, 1) << "layer " << layer;
    }
    const auto [least, most] = std::minmax_element(total.begin(), total.end());
    EXPECT_LE(*most - *least, 1) << "over all layers";
    std::vector<int> blocks;
    for (const IntervalSet& kept : group.dense_blocks) blocks.push_back(kept.size());
    const auto [fewest, largest] = std::minmax_element(blocks.begin(), blocks.end());
    EXPECT_LE(*largest - *fewest, 1) << "dense blocks";
  }
  const auto [smallest, largest] = std::minmax_element(sizes.begin(), sizes.end());
  EXPECT_LE(*largest - *smallest, 1u) << "group sizes";
}

}  // namespace regroup::planning::testing
