#include "coordinator/planner/memory_need.hpp"
#include "tests/layout/planner_world.hpp"

#include <numeric>
#include <set>

namespace regroup::planning {
namespace {

using testing::candidate;
using testing::candidates;
using testing::next_plan;
using testing::planner_job;

Plan make(const JobSpec& job, const Plan* previous, const std::vector<int>& numbers, Goal goal) {
  const PlanningResult result = make_placement({&job, previous, candidates(numbers), goal});
  EXPECT_TRUE(result.planned) << result.reason;
  const Plan plan = next_plan(job, previous, *result.planned);
  EXPECT_EQ(testing::violations(plan, job), "");
  EXPECT_EQ(result.planned->bytes_to_move, testing::bytes_moved(job, previous, plan));
  return plan;
}

std::vector<int> first(int n) {
  std::vector<int> numbers(static_cast<std::size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

std::vector<std::size_t> group_sizes(const Plan& plan) {
  std::vector<std::size_t> sizes;
  for (const Group& group : plan.placement.groups) sizes.push_back(group.ranks.size());
  return sizes;
}

TEST(Planner, one_to_seven_ranks_in_one_to_four_groups_are_balanced) {
  for (int ranks = 1; ranks <= 7; ++ranks) {
    for (int groups = 1; groups <= 4; ++groups) {
      const JobSpec job = planner_job(5, 8, groups);
      const Plan plan = make(job, nullptr, first(ranks), Goal::kBalanced);
      EXPECT_EQ(static_cast<int>(plan.placement.groups.size()), std::min(ranks, groups));
      testing::expect_balanced(job, plan);
    }
  }
}

TEST(Planner, every_small_world_is_balanced_through_every_single_join_and_leave) {
  for (int experts = 1; experts <= 6; ++experts) {
    for (int layers = 1; layers <= 3; ++layers) {
      for (int groups = 1; groups <= 4; ++groups) {
        const JobSpec job = planner_job(layers, experts, groups);
        for (int nodes = 1; nodes <= 4; ++nodes) {
          const Plan plan = make(job, nullptr, first(nodes), Goal::kBalanced);
          for (unsigned alive = 1; alive < 1u << 5; ++alive) {  // any four of these may live, and one that is new
            std::vector<int> numbers;
            for (int n = 0; n < 5; ++n) {
              if ((alive >> n & 1) != 0 && (n < nodes || n == 4)) numbers.push_back(n);
            }
            if (numbers.empty()) continue;
            testing::expect_balanced(job, make(job, &plan, numbers, Goal::kBalanced));
            make(job, &plan, numbers, Goal::kSoonest);
          }
        }
      }
    }
  }
}

TEST(Planner, eight_experts_in_four_slices_on_seven_ranks_are_five_or_four_a_rank) {
  JobSpec job = planner_job(3, 8, 1);
  job.model.expert_slices = 4;
  const Plan plan = make(job, nullptr, first(7), Goal::kBalanced);
  const std::vector<int>& member_of = plan.placement.groups.front().expert_member;
  ASSERT_EQ(member_of.size(), 3u * 32u);
  for (std::size_t layer = 0; layer < 3; ++layer) {
    std::vector<int> held(7);
    for (std::size_t slot = layer * 32; slot < (layer + 1) * 32; ++slot)
      ++held[static_cast<std::size_t>(member_of[slot])];
    std::sort(held.rbegin(), held.rend());
    EXPECT_EQ(held, (std::vector<int>{5, 5, 5, 5, 4, 4, 4}));
    // A popular expert is everybody's work: its slices lie on different ranks.
    for (std::size_t expert = 0; expert < 8; ++expert) {
      const auto* begin = member_of.data() + layer * 32 + expert * 4;
      EXPECT_GE(std::set<int>(begin, begin + 4).size(), 3u) << "expert " << expert;
    }
  }
  // One dies, another comes: still even, and no slice moves without need (make() compares the bytes that move with what
  // the plan says).
  testing::expect_balanced(job, make(job, &plan, {0, 1, 2, 4, 5, 6}, Goal::kBalanced));
  testing::expect_balanced(job, make(job, &plan, {0, 1, 2, 4, 5, 6, 7}, Goal::kBalanced));
}

TEST(Planner, as_many_ranks_as_slices_have_a_slice_of_every_expert) {
  JobSpec job = planner_job(2, 8, 1);
  job.model.expert_slices = 4;
  // Afresh, and grown from one rank that had all.
  const Plan one = make(job, nullptr, first(1), Goal::kBalanced);
  for (const Plan* before : {static_cast<const Plan*>(nullptr), &one}) {
    const std::vector<int> member_of =
        make(job, before, first(4), Goal::kBalanced).placement.groups.front().expert_member;
    for (std::size_t slot = 0; slot < member_of.size(); slot += 4)
      EXPECT_EQ(std::set<int>(&member_of[slot], &member_of[slot] + 4).size(), 4u) << "slot " << slot;
  }
}

TEST(Planner, seven_ranks_in_two_groups_are_four_and_three) {
  EXPECT_EQ(group_sizes(make(planner_job(2, 8, 2), nullptr, first(7), Goal::kBalanced)),
            (std::vector<std::size_t>{4, 3}));
}

TEST(Planner, the_same_workers_keep_the_same_plan) {
  for (int ranks = 1; ranks <= 9; ++ranks) {
    const JobSpec job = planner_job(4, 8, 2);
    const Plan plan = make(job, nullptr, first(ranks), Goal::kBalanced);
    EXPECT_EQ(make(job, &plan, first(ranks), Goal::kBalanced).placement, plan.placement);
    EXPECT_EQ(make(job, &plan, first(ranks), Goal::kSoonest).placement, plan.placement);
  }
}

TEST(Planner, the_order_of_candidates_does_not_matter) {
  const JobSpec job = planner_job(4, 8, 2);
  const Plan plan = make(job, nullptr, {5, 3, 1, 4, 2}, Goal::kBalanced);
  EXPECT_EQ(make(job, nullptr, {1, 2, 3, 4, 5}, Goal::kBalanced), plan);
  EXPECT_EQ(make(job, &plan, {9, 4, 1}, Goal::kBalanced), make(job, &plan, {1, 4, 9}, Goal::kBalanced));
}

TEST(Planner, survivors_keep_their_order_and_newcomers_follow) {
  const JobSpec job = planner_job(2, 8, 2);
  const Plan plan = make(job, nullptr, {1, 2, 3, 4}, Goal::kBalanced);
  const Plan next = make(job, &plan, {0, 1, 3, 4, 5}, Goal::kBalanced);
  std::vector<int> numbers;
  for (int rank = 0; rank < 5; ++rank) numbers.push_back(testing::number_of(next, Rank(rank)));
  EXPECT_EQ(numbers, (std::vector<int>{1, 3, 4, 0, 5}));
}

TEST(Planner, a_worker_that_was_started_again_is_a_newcomer) {
  const JobSpec job = planner_job(2, 8, 1);
  const Plan plan = make(job, nullptr, {0, 1}, Goal::kBalanced);
  auto again = candidates({0, 1});
  again[0].worker.start = 1;
  const auto result = make_placement({&job, &plan, again, Goal::kBalanced});
  ASSERT_TRUE(result.planned);
  EXPECT_GT(result.planned->bytes_to_move, 0);
  EXPECT_EQ(result.planned->members[0].worker.node, NodeId("n00001"));
}

TEST(Planner, after_a_loss_an_intact_group_keeps_its_owners_and_nothing_moves) {
  const JobSpec job = planner_job(4, 8, 2);
  const Plan plan = make(job, nullptr, first(4), Goal::kBalanced);
  for (int dead = 0; dead < 4; ++dead) {
    std::vector<int> alive = first(4);
    alive.erase(alive.begin() + dead);
    const Plan next = make(job, &plan, alive, Goal::kSoonest);
    ASSERT_EQ(next.placement.groups.size(), 1u);
    EXPECT_EQ(next.placement.groups[0].ranks.size(), 3u);
    EXPECT_EQ(testing::bytes_moved(job, &plan, next), 0);
    const int intact = dead < 2 ? 1 : 0;
    for (Rank rank : plan.placement.groups[static_cast<std::size_t>(intact)].ranks) {
      const WorkerId& owner = plan.members[static_cast<std::size_t>(rank.value)].worker;
      EXPECT_EQ(testing::kept_of(next, owner).dense, testing::kept_of(plan, owner).dense);
      EXPECT_EQ(testing::kept_of(next, owner).experts, testing::kept_of(plan, owner).experts);
    }
  }
}

TEST(Planner, a_second_loss_of_one_that_only_computes_leaves_the_group_intact) {
  const JobSpec job = planner_job(4, 8, 2);
  const Plan plan = make(job, nullptr, first(4), Goal::kBalanced);
  const Plan second = make(job, &plan, {0, 1, 2}, Goal::kSoonest);  // 2 only computes now
  const Plan third = make(job, &second, {0, 1}, Goal::kSoonest);
  EXPECT_EQ(testing::bytes_moved(job, &second, third), 0);
  EXPECT_EQ(group_sizes(third), (std::vector<std::size_t>{2}));
}

TEST(Planner, when_no_group_is_intact_survivors_keep_what_they_hold) {
  const JobSpec job = planner_job(4, 8, 2);
  const Plan plan = make(job, nullptr, first(4), Goal::kBalanced);
  // One of each group dies; the layouts of both groups are alike, so 0 and 3 hold complementary halves, 0 and 2 the
  // same half.
  const Plan complementary = make(job, &plan, {0, 3}, Goal::kSoonest);
  EXPECT_EQ(group_sizes(complementary), (std::vector<std::size_t>{2}));
  EXPECT_EQ(testing::bytes_moved(job, &plan, complementary), 0);
  const Plan alike = make(job, &plan, {0, 2}, Goal::kSoonest);
  EXPECT_EQ(testing::bytes_moved(job, nullptr, alike), 2 * testing::bytes_moved(job, &plan, alike));
}

TEST(Planner, redundancy_returns_at_the_next_boundary) {
  const JobSpec job = planner_job(4, 8, 2);
  const Plan plan = make(job, nullptr, first(4), Goal::kBalanced);
  const Plan soon = make(job, &plan, {0, 1, 2}, Goal::kSoonest);
  const auto result = make_placement({&job, &soon, candidates({0, 1, 2, 7}), Goal::kBalanced});
  ASSERT_TRUE(result.planned);
  EXPECT_EQ(result.planned->placement.groups.size(), 2u);
  EXPECT_EQ(result.planned->bytes_to_move, result.planned->bytes_bound);
}

TEST(Planner, workers_beyond_the_microbatches_are_spares) {
  const JobSpec job = planner_job(2, 8, 2, 2, 4);
  for (const Goal goal : {Goal::kBalanced, Goal::kSoonest}) {
    const Plan plan = make(job, nullptr, first(3), Goal::kBalanced);
    const Plan next = make(job, &plan, first(6), goal);
    EXPECT_EQ(next.members.size(), 6u);
    EXPECT_EQ(next.placement.num_ranks(), 4);
    for (int rank = 0; rank < 4; ++rank) EXPECT_GE(next.placement.group_of(Rank(rank)), 0);
  }
}

TEST(Planner, a_spare_takes_the_place_of_a_lost_worker) {
  const JobSpec job = planner_job(2, 8, 1, 2, 2);
  const Plan plan = make(job, nullptr, first(3), Goal::kBalanced);
  const Plan next = make(job, &plan, {1, 2}, Goal::kBalanced);
  EXPECT_EQ(next.placement.num_ranks(), 2);
}

TEST(Planner, memory_decides_the_number_of_groups) {
  JobSpec job = planner_job(4, 8, 4);
  const auto groups_with = [&](std::int64_t memory) {
    job.elastic.worker_memory_bytes = memory;
    const auto result = make_placement({&job, nullptr, candidates(first(8)), Goal::kBalanced});
    EXPECT_TRUE(result.planned) << result.reason;
    return result.planned ? result.planned->placement.groups.size() : 0;
  };
  EXPECT_EQ(groups_with(memory_needed(job, 2)), 4u);
  EXPECT_EQ(groups_with(memory_needed(job, 2) - 1), 2u);  // three groups would have two members somewhere, too
  EXPECT_EQ(groups_with(memory_needed(job, 4)), 2u);
  EXPECT_EQ(groups_with(memory_needed(job, 4) - 1), 1u);
  EXPECT_EQ(groups_with(0), 4u);
}

TEST(Planner, memory_is_counted_for_both_states_of_a_regroup) {
  JobSpec job = planner_job(4, 8, 4);
  job.sequences_per_microbatch = job.sequence_length = 1;  // next to no activations
  const MemoryNeed need = memory_need(job, 2, 4);
  ASSERT_GT(need.regroup(), need.total());
  EXPECT_EQ(memory_needed(job, 2), need.regroup());
  job.elastic.worker_memory_bytes = need.total();
  const auto result = make_placement({&job, nullptr, candidates(first(8)), Goal::kBalanced});
  ASSERT_TRUE(result.planned) << result.reason;
  EXPECT_LT(result.planned->placement.groups.size(), 4u);
}

TEST(Planner, without_memory_for_one_copy_there_is_no_plan_but_a_reason) {
  JobSpec job = planner_job(4, 8, 4);
  job.elastic.worker_memory_bytes = memory_needed(job, 8) - 1;
  const auto result = make_placement({&job, nullptr, candidates(first(8)), Goal::kBalanced});
  EXPECT_FALSE(result.planned);
  EXPECT_NE(result.reason.find("does not fit"), std::string::npos) << result.reason;
}

TEST(Planner, without_a_worker_that_is_ready_there_is_no_plan_but_a_reason) {
  const JobSpec job = planner_job(4, 8, 4);
  const auto result = make_placement({&job, nullptr, {}, Goal::kBalanced});
  EXPECT_FALSE(result.planned);
  EXPECT_EQ(result.reason, "no worker is ready");
}

TEST(Planner, a_worker_with_too_little_memory_is_a_spare) {
  const JobSpec job = planner_job(4, 8, 2);
  std::vector<Candidate> workers;
  for (int n = 0; n < 4; ++n) workers.push_back(candidate(n, n == 1 ? 1000 : memory_needed(job, 3)));
  const auto result = make_placement({&job, nullptr, workers, Goal::kBalanced});
  ASSERT_TRUE(result.planned) << result.reason;
  EXPECT_EQ(result.planned->placement.num_ranks(), 3);
  EXPECT_EQ(result.planned->placement.group_of(Rank(1)), -1);
  EXPECT_NE(result.reason.find("too little memory"), std::string::npos) << result.reason;
}

TEST(Planner, workers_of_one_host_lie_in_one_group_at_the_start) {
  const JobSpec job = planner_job(2, 8, 2);
  std::vector<Candidate> workers;
  for (int n = 0; n < 4; ++n) {
    workers.push_back(candidate(n));
    workers.back().host = n % 2 == 0 ? "even" : "odd";
  }
  const auto result = make_placement({&job, nullptr, workers, Goal::kBalanced});
  ASSERT_TRUE(result.planned);
  for (const Group& group : result.planned->placement.groups) {
    std::set<int> parity;
    for (Rank rank : group.ranks)
      parity.insert((result.planned->members[static_cast<std::size_t>(rank.value)].worker.node.value.back() - '0') % 2);
    EXPECT_EQ(parity.size(), 1u);
  }
}

TEST(Planner, popular_experts_of_one_rank_change_places_once_and_stay_then) {
  const JobSpec job = planner_job(2, 8, 2);
  const Plan plan = make(job, nullptr, first(4), Goal::kBalanced);  // 2 groups of 2
  const LoadRecord load = testing::steady({900, 900, 100, 100, 100, 100, 100, 100, 50, 50, 50, 50, 50, 50, 50, 50});
  const auto evened = make_placement({&job, &plan, candidates(first(4)), Goal::kBalanced, &load});
  ASSERT_TRUE(evened.planned && evened.planned->rank_load) << evened.reason;
  EXPECT_DOUBLE_EQ(evened.planned->rank_load->by_count, (2000.0 + 200) / (1200 + 200));
  EXPECT_DOUBLE_EQ(evened.planned->rank_load->by_load, 1);
  EXPECT_DOUBLE_EQ(evened.planned->rank_load->lasting, 1);
  EXPECT_NE(evened.reason.find("heaviest rank 1.57 -> 1.00 x the mean"), std::string::npos) << evened.reason;
  const Plan next = next_plan(job, &plan, *evened.planned);
  EXPECT_EQ(testing::violations(next, job), "");
  EXPECT_EQ(evened.planned->bytes_to_move, testing::bytes_moved(job, &plan, next));
  EXPECT_EQ(evened.planned->bytes_to_move, 4 * make_units(job.model)[2].padded_numel() * 12)
      << "one swap in each group";
  const auto again = make_placement({&job, &next, candidates(first(4)), Goal::kBalanced, &load});
  ASSERT_TRUE(again.planned);
  EXPECT_EQ(again.planned->placement, next.placement);
  EXPECT_FALSE(again.planned->rank_load) << "nothing is left to gain";
}

TEST(Planner, experts_lie_by_count_while_the_load_says_nothing_of_later) {
  const JobSpec job = planner_job(2, 8, 2);
  const Plan plan = make(job, nullptr, first(4), Goal::kBalanced);
  const std::vector<std::int64_t> load = {900, 900, 100, 100, 100, 100, 100, 100, 50, 50, 50, 50, 50, 50, 50, 50};
  const std::vector<std::int64_t> elsewhere = {100, 100, 900, 900, 100, 100, 100, 100, 50, 50, 50, 50, 50, 50, 50, 50};
  const std::vector<std::int64_t> even(16, 100);
  for (const LoadRecord& record :
       {testing::load_record(load, even), testing::load_record(load, elsewhere), testing::load_record(load, {})}) {
    const auto planned = make_placement({&job, &plan, candidates(first(4)), Goal::kBalanced, &record});
    ASSERT_TRUE(planned.planned);
    EXPECT_EQ(planned.planned->placement, plan.placement) << planned.reason;
    EXPECT_FALSE(planned.planned->rank_load);
    EXPECT_EQ(planned.reason.find("heaviest"), std::string::npos) << planned.reason;
  }
}

TEST(Planner, what_is_gained_by_load_is_at_least_what_the_job_asks_for) {
  JobSpec job = planner_job(2, 8, 1);
  const Plan plan = make(job, nullptr, first(2), Goal::kBalanced);
  const LoadRecord load = testing::steady({900, 900, 100, 100, 100, 100, 100, 100, 50, 50, 50, 50, 50, 50, 50, 50});
  const double gain = 2200.0 / 1400 - 1;
  // 0: never
  for (const auto& [wanted, by_load] : {std::pair{gain - 0.01, true}, {gain + 0.01, false}, {0.0, false}}) {
    job.elastic.load_gain = wanted;
    EXPECT_EQ(
        make_placement({&job, &plan, candidates(first(2)), Goal::kBalanced, &load}).planned->rank_load.has_value(),
        by_load)
        << wanted;
  }
}

TEST(Planner, chains_follow_the_sizes_of_the_groups) {
  const JobSpec job = planner_job(2, 8, 2, 32, 32);
  const Plan plan = make(job, nullptr, first(6), Goal::kBalanced);
  const Plan next = make(job, &plan, {0, 1, 2, 3, 4}, Goal::kBalanced);  // 3 + 2
  const auto& groups = next.placement.groups;
  ASSERT_EQ(group_sizes(next), (std::vector<std::size_t>{3, 2}));
  EXPECT_EQ(std::max(num_waves(groups[0], 32, 32), num_waves(groups[1], 32, 32)), 7);  // 32 over 5 ranks takes 6.4
}

}  // namespace
}  // namespace regroup::planning
