// Experts are placed by their load: when, and when not.
#include "tests/coordinator/core_world.hpp"

namespace regroup::coordinator::test {
namespace {

using Load = std::vector<std::int64_t>;

const Load kEven(16, 100);
const Load kSkewed = {400, 400, 50, 50, 50, 50, 50, 50, 400, 400, 50, 50, 50, 50, 50, 50};  // [2 layers * 8 experts]
const Load kSkewedElsewhere = {50, 50, 50, 50, 50, 50, 400, 400, 50, 50, 50, 50, 50, 50, 400, 400};
// whoever follows it leaves the popular ones of kSkewed where they are
const Load kSkewedBefore = {50, 50, 400, 400, 50, 50, 50, 50, 50, 50, 400, 400, 50, 50, 50, 50};

void put_load(CoreWorld& w, const Load& load, const Load& before, std::int64_t step,
              const std::string& node = "node-0") {
  w.etcd.put(w.keys.load("job", NodeId(node)), to_json(LoadRecord{w.epoch(), Step(step), load, before}));
  w.pump();
}
void put_load(CoreWorld& w, const Load& steady, std::int64_t step, const std::string& node = "node-0") {
  put_load(w, steady, steady, step, node);
}

// One second a step.
void report_progress(CoreWorld& w, std::int64_t step) {
  w.etcd.put(
      w.keys.progress("job", NodeId("node-0")),
      to_json(ProgressRecord{w.epoch(), Step(step), 1.0, 16 * 16, w.now.wall_ms, ProgressState::kTraining, "", ""}));
  w.pump();
}

JobSpec one_group() { return tiny_job(1); }

double heaviest(const CoreWorld& w, const Load& load) {
  return planning::most_uneven(w.plan().placement, tiny_job().model, load);
}

// Two workers in one group, long in force, with these loads known.
void train_unevenly(CoreWorld& w, const Load& load, const JobSpec& job = one_group(), std::int64_t step = 10) {
  w.start();
  w.train_on(2, job);
  report_progress(w, step);
  put_load(w, load, step);
}

// One more worker, ready to join.
void join(CoreWorld& w) {
  w.put_node(w.record("node-5"));
  w.set_worker("node-5", WorkerState::kReady);
  w.warm("node-5");
}

TEST(ByLoad, experts_change_places_once_when_routers_are_uneven) {
  CoreWorld w;
  train_unevenly(w, kSkewed);
  const double before = heaviest(w, kSkewed);
  w.advance(4000);
  EXPECT_EQ(w.plans.size(), 1U) << "not before the plan is in force for long enough";
  w.advance(2000);
  ASSERT_EQ(w.plans.size(), 2U) << w.status().reason;
  EXPECT_EQ(w.plan().cause, Cause::kLoad);
  EXPECT_EQ(w.plan().when, When::kBoundary);
  EXPECT_EQ(w.plan().members, w.plans[0].members);
  EXPECT_NE(w.plan().reason.find("heaviest rank 1.64 -> 1.00 x the mean"), std::string::npos) << w.plan().reason;
  EXPECT_NEAR(before, 1.64, 0.01);
  EXPECT_LE(heaviest(w, kSkewed), 1.04);
  report_progress(w, 20);
  put_load(w, kSkewed, 28);
  w.advance(120'000);
  EXPECT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.status().state, JobState::kTraining);
}

TEST(ByLoad, each_move_among_the_same_members_waits_twice_as_long_as_the_one_before) {
  CoreWorld w;
  JobSpec job = one_group();
  job.steps = 1000;
  train_unevenly(w, kSkewed, job);
  w.advance(6000);
  ASSERT_EQ(w.plans.size(), 2U);
  Load load = kSkewed;
  std::int64_t step = 20;
  for (int wait : {20'000, 40'000, 80'000}) {
    const auto plans = w.plans.size();
    report_progress(w, step);
    // Whatever was evened out is uneven again.
    Load again(16, 10);
    for (std::size_t slot = 0; slot < 16; ++slot)
      again[slot] = w.plan().placement.groups[0].expert_member[slot] == 0 ? 300 + static_cast<std::int64_t>(slot) : 10;
    put_load(w, again, step + 1);
    w.advance(wait - 1000);
    EXPECT_EQ(w.plans.size(), plans) << wait;
    w.advance(2000);
    EXPECT_EQ(w.plans.size(), plans + 1) << wait;
    step += 20;
  }
}

TEST(ByLoad, even_routers_and_small_gains_move_nothing) {
  CoreWorld w;
  train_unevenly(w, kEven);
  w.advance(60'000);
  EXPECT_EQ(w.plans.size(), 1U);
  Load slightly = kEven;
  slightly[0] = slightly[1] = 115;
  put_load(w, slightly, 30);
  w.advance(60'000);
  EXPECT_EQ(w.plans.size(), 1U);
}

TEST(ByLoad, while_routers_find_their_ways_experts_stay) {
  CoreWorld w;
  w.start();
  w.train_on(2, one_group());
  report_progress(w, 10);
  put_load(w, kSkewed, {}, 8);
  w.advance(20'000);
  EXPECT_EQ(w.plans.size(), 1U);
  put_load(w, kSkewed, kEven, 16);
  w.advance(20'000);
  EXPECT_EQ(w.plans.size(), 1U);
  put_load(w, kSkewed, 24);
  w.advance(100);
  EXPECT_EQ(w.plans.size(), 2U);
}

TEST(ByLoad, groups_of_one_have_nothing_to_even_out) {
  CoreWorld w;
  train_unevenly(w, kSkewed, tiny_job(2));
  w.advance(60'000);
  EXPECT_EQ(w.plans.size(), 1U);
}

TEST(ByLoad, a_job_may_say_never) {
  CoreWorld w;
  JobSpec job = one_group();
  job.elastic.load_gain = 0;
  train_unevenly(w, kSkewed, job);
  w.advance(60'000);
  EXPECT_EQ(w.plans.size(), 1U);
  join(w);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().reason.find("heaviest"), std::string::npos) << w.plan().reason;
}

TEST(ByLoad, near_the_end_of_the_job_experts_stay_and_the_status_says_why) {
  CoreWorld w;
  train_unevenly(w, kSkewed, one_group(), 97);
  w.advance(20'000);
  EXPECT_EQ(w.plans.size(), 1U);
  ASSERT_FALSE(w.status().notes.empty());
  EXPECT_NE(w.status().notes.back().find("would save 0.6 s in the 3 steps that are left, and costs 1.0 s"),
            std::string::npos)
      << w.status().notes.back();
}

TEST(ByLoad, a_load_of_another_epoch_or_another_model_says_nothing) {
  CoreWorld w;
  w.start();
  w.train_on(2, one_group());
  report_progress(w, 10);
  w.etcd.put(w.keys.load("job", NodeId("node-0")), to_json(LoadRecord{Epoch(7), Step(10), kSkewed, kSkewed}));
  w.advance(30'000);
  EXPECT_EQ(w.plans.size(), 1U);
  put_load(w, {1, 2, 3}, 20);
  w.advance(30'000);
  EXPECT_EQ(w.plans.size(), 1U);
  put_load(w, kSkewed, 30);
  w.advance(1000);
  EXPECT_EQ(w.plans.size(), 2U);
}

TEST(ByLoad, a_loss_comes_first_and_begins_the_wait_anew) {
  CoreWorld w;
  w.start();
  w.train_on(3, one_group());
  report_progress(w, 10);
  put_load(w, kSkewed, 10);
  w.agent_says_exit("node-2");
  ASSERT_EQ(w.plans.size(), 2U);
  w.advance(30'000);  // nobody has committed in the new epoch
  EXPECT_EQ(w.plans.size(), 2U);
  report_progress(w, 11);
  w.advance(6000);  // and now redundancy, if need be
  const auto plans = w.plans.size();
  report_progress(w, 12);
  put_load(w, kSkewedElsewhere, 20);
  w.advance(8000);
  EXPECT_EQ(w.plans.size(), plans);
  EXPECT_NE(w.plan().cause, Cause::kLoad);
}

// One of three in a group leaves.
Plan drained(const Load& load, const Load& before) {
  CoreWorld w;
  w.start();
  w.train_on(3, one_group());
  if (!load.empty()) put_load(w, load, before, 10);
  w.etcd.put(w.keys.wishes("job") + "d", to_json(WishRecord{WishKind::kDrain, 0, NodeId("node-2")}));
  w.pump();
  EXPECT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().cause, Cause::kDrain);
  return w.plan();
}

TEST(ByLoad, whoever_leaves_leaves_experts_placed_by_the_load_that_is_known_if_it_lasts) {
  const Plan by_count = drained({}, {});
  const Plan by_load = drained(kSkewed, kSkewed);
  EXPECT_LE(planning::most_uneven(by_load.placement, tiny_job().model, kSkewed), 1.04);
  EXPECT_GT(planning::most_uneven(by_count.placement, tiny_job().model, kSkewed), 1.2);
  EXPECT_NE(by_load.reason.find("heaviest rank"), std::string::npos) << by_load.reason;
  for (const Load& before : {kEven, kSkewedBefore, Load{}}) {
    const Plan drifting = drained(kSkewed, before);
    EXPECT_EQ(drifting.placement, by_count.placement);
    EXPECT_EQ(drifting.reason, by_count.reason) << "nothing of the load";
  }
}

TEST(ByLoad, joiners_find_experts_placed_by_count_while_routers_find_their_ways) {
  const auto joined = [](const Load& load, const Load& before) {
    CoreWorld w;
    w.start();
    w.train_on(2, one_group());
    if (!load.empty()) put_load(w, load, before, 10);
    join(w);
    EXPECT_EQ(w.plans.size(), 2U);
    EXPECT_EQ(w.plan().cause, Cause::kJoin);
    return w.plan();
  };
  const Plan by_count = joined({}, {});
  for (const Load& before : {kEven, Load{}}) {
    const Plan drifting = joined(kSkewed, before);
    EXPECT_EQ(drifting.placement, by_count.placement);
    EXPECT_EQ(drifting.reason, by_count.reason) << "nothing of the load";
  }
  EXPECT_NE(joined(kSkewed, kSkewed).placement, by_count.placement);
}

TEST(ByLoad, joiners_find_experts_placed_by_the_load_that_is_known) {
  CoreWorld w;
  train_unevenly(w, kSkewed);
  join(w);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().cause, Cause::kJoin);
  EXPECT_NE(w.plan().reason.find("heaviest rank"), std::string::npos) << w.plan().reason;
  EXPECT_NEAR(heaviest(w, kSkewed), 500.0 / (1100.0 / 3), 0.01) << "no rank has both popular experts of a layer";
}

TEST(ByLoad, a_worker_on_its_way_is_waited_for_but_not_for_ever) {
  CoreWorld w;
  train_unevenly(w, kSkewed);
  w.put_node(w.record("node-5"));
  w.set_worker("node-5", WorkerState::kStarting);
  w.advance(12'000);
  EXPECT_EQ(w.plans.size(), 1U);
  w.advance(8000);
  EXPECT_EQ(w.plans.size(), 2U);
}

TEST(ByLoad, loads_of_agents_that_are_no_longer_rank_0s_are_removed) {
  CoreWorld w;
  train_unevenly(w, kEven);
  put_load(w, kEven, 50, "node-1");
  w.advance(50);
  EXPECT_EQ(w.etcd.get(w.keys.load("job", NodeId("node-0"))), nullptr);
  EXPECT_NE(w.etcd.get(w.keys.load("job", NodeId("node-1"))), nullptr);
}

TEST(ByLoad, a_takeover_moves_nothing_that_was_just_moved) {
  CoreWorld w(2);
  w.start(0);
  w.watch_only(1);
  w.train_on(2, one_group());
  report_progress(w, 10);
  put_load(w, kSkewed, 10);
  w.advance(6000);
  ASSERT_EQ(w.plans.size(), 2U);
  report_progress(w, 20);
  put_load(w, kSkewedElsewhere, 28);
  w.depose(0);
  w.lead(1);
  w.advance(15'000);
  EXPECT_EQ(w.plans.size(), 2U);
}

TEST(Rebalance, what_is_saved_and_what_it_costs) {
  const LoadMove move{{1.5, 1.1, 1.2}, 4'000'000'000, 4, 0.5, 100};
  EXPECT_DOUBLE_EQ(seconds_saved(move), 0.2 * 0.5 * 50);
  EXPECT_DOUBLE_EQ(seconds_spent(move), 2);
  LoadMove long_one = move;
  long_one.steps_left = 1'000'000;
  EXPECT_DOUBLE_EQ(seconds_saved(long_one), 0.2 * 0.5 * 600);
}

}  // namespace
}  // namespace regroup::coordinator::test
