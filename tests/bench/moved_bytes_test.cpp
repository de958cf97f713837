#include "bench/moved/bytes.hpp"
#include "tests/layout/planner_world.hpp"

namespace regroup::bench {
namespace {

using planning::Goal;
using planning::make_placement;
using planning::testing::candidates;
using planning::testing::next_plan;

struct World {
  JobSpec job = planning::testing::planner_job(8, 8, 1);
  std::map<Epoch, Plan> plans;
  Plan plan(const std::vector<int>& nodes, const Plan* previous = nullptr, Goal goal = Goal::kBalanced) {
    const Plan made = next_plan(job, previous, *make_placement({&job, previous, candidates(nodes), goal}).planned);
    plans[made.epoch] = made;
    return made;
  }
};

cli::RegroupRecord regroup(int epoch, const std::string& cause, std::int64_t moved, std::int64_t own = 0) {
  cli::RegroupRecord record;
  record.epoch = Epoch(static_cast<std::uint64_t>(epoch));
  record.cause = kCauseWords.find(cause);
  record.bytes_moved = moved;
  record.bytes_from_own_agents = own;
  return record;
}

TEST(MovedBytes, the_bound_of_a_join_is_the_newcomers_share) {
  World world;
  const Plan three = world.plan({1, 2, 3});
  const Plan four = world.plan({1, 2, 3, 4}, &three);
  EXPECT_EQ(fewest_bytes(world.job, three, four), planning::testing::bytes_moved(world.job, &three, four));
  EXPECT_EQ(fewest_bytes(world.job, four, four), 0);
}

TEST(MovedBytes, a_worker_that_came_again_holds_nothing) {
  World world;
  const Plan four = world.plan({1, 2, 3, 4});
  const Plan three = world.plan({1, 2, 3}, &four, Goal::kSoonest);
  Plan again = world.plan({1, 2, 3, 4}, &three);
  again.members.back().worker.start = 1;
  EXPECT_EQ(fewest_bytes(world.job, four, again), fewest_bytes(world.job, three, again));
  EXPECT_GT(fewest_bytes(world.job, four, three), 0);  // what was lost must come from somewhere
}

TEST(MovedBytes, what_came_from_the_own_agent_did_not_move) {
  World world;
  const Plan three = world.plan({1, 2, 3});
  const Plan four = world.plan({1, 2, 3, 4}, &three);
  const std::int64_t bound = fewest_bytes(world.job, three, four);
  const auto moved =
      moved_by_cause(world.job, {regroup(1, "start", 7), regroup(2, "join", bound + 100, 100)}, world.plans);
  ASSERT_EQ(moved.size(), 1u);  // nothing came before the start
  EXPECT_EQ(moved.at("join").ratio(), 1);
  EXPECT_EQ(moved.at("join").from_own_agents, 100);
}

TEST(MovedBytes, a_plan_that_nobody_held_is_no_parent) {
  World world;
  const Plan three = world.plan({1, 2, 3});
  const Plan four = world.plan({1, 2, 3, 4}, &three);
  world.plan({1, 2, 4}, &four);
  EXPECT_TRUE(moved_by_cause(world.job, {regroup(1, "start", 0), regroup(3, "node_lost", 1)}, world.plans).empty());
}

TEST(MovedBytes, bytes_where_none_were_needed_are_too_many) {
  World world;
  const Plan three = world.plan({1, 2, 3});
  world.plan({1, 2, 3}, &three);
  EXPECT_GT(
      moved_by_cause(world.job, {regroup(1, "start", 0), regroup(2, "balance", 1)}, world.plans).at("balance").worst,
      1.05);
  EXPECT_EQ(
      moved_by_cause(world.job, {regroup(1, "start", 0), regroup(2, "balance", 0)}, world.plans).at("balance").worst,
      1);
}

}  // namespace
}  // namespace regroup::bench
