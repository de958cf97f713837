// A plan in etcd: written once, named by plan/current, and what is done while the two do not fit.
#include "store/txn_check.hpp"
#include "tests/coordinator/core_world.hpp"

namespace regroup::coordinator::test {
namespace {

WatchUpdate put_of(const KeyValue& kv) { return {false, true, kv.mod_revision, {{WatchEvent::Kind::kPut, kv}}}; }

// What a coordinator knows that has seen everything but these keys.
ClusterView view_without(const CoreWorld& w, const std::vector<std::string>& missing) {
  ClusterView view("c", Timing{});
  WatchUpdate all = w.etcd.everything();
  std::erase_if(all.events, [&](const WatchEvent& event) {
    return std::find(missing.begin(), missing.end(), event.kv.key) != missing.end();
  });
  view.apply(all, w.now);
  return view;
}

TEST(PublishedPlan, it_is_read_in_whichever_order_its_two_keys_come) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  const std::string text_key = w.keys.plan("job", Epoch(1)), current_key = w.keys.current_plan("job");
  for (const auto& [first, second] : {std::pair(text_key, current_key), std::pair(current_key, text_key)}) {
    ClusterView view = view_without(w, {text_key, current_key});
    view.apply(put_of(*w.etcd.get(first)), w.now);
    EXPECT_FALSE(view.jobs().at("job").plan);
    view.apply(put_of(*w.etcd.get(second)), w.now);
    const JobRecords& job = view.jobs().at("job");
    ASSERT_TRUE(job.plan) << job.plan_error;
    EXPECT_EQ(job.plan->value, w.plan());
    EXPECT_EQ(job.plan->mod_revision, w.etcd.get(current_key)->mod_revision);
    EXPECT_EQ(job.plan_error, "");
  }
}

TEST(PublishedPlan, without_its_text_or_with_another_one_nothing_is_planned_over_it) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  const std::string key = w.keys.plan("job", Epoch(1)), text = w.etcd.get(key)->value;
  w.etcd.erase(key);
  w.pump();
  w.agent_says_exit("node-1");
  w.advance(1000);
  EXPECT_EQ(w.status().state, JobState::kWaiting);
  EXPECT_NE(w.status().reason.find("plan/1 is not there"), std::string::npos) << w.status().reason;
  w.etcd.put(key, text + " ");
  w.pump();
  EXPECT_NE(w.status().reason.find("plan/1 has digest"), std::string::npos) << w.status().reason;
  EXPECT_EQ(w.plans.size(), 1U);
  w.etcd.put(key, text);
  w.pump();
  EXPECT_EQ(w.plans.size(), 2U) << w.status().reason;
}

TEST(PublishedPlan, a_new_leader_that_sees_the_name_alone_waits_for_the_text) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  const ClusterView view = view_without(w, {w.keys.plan("job", Epoch(1))});
  EXPECT_FALSE(view.jobs().at("job").plan);
  EXPECT_EQ(view.jobs().at("job").plan_error, "plan/current names epoch 1, and plan/1 is not there");
}

JobSpec job_of_many_experts(int layers, int experts) {
  JobSpec job = tiny_job(2);
  job.model.num_hidden_layers = layers;
  job.model.num_local_experts = experts;
  return job;
}

// Three workers in two groups, which keep unalike: the experts stand twice in the plan.
void start_three(CoreWorld& w, const JobSpec& job) {
  w.start();
  w.put_job(job);
  for (int i = 0; i < 3; ++i) w.put_node(w.record(CoreWorld::name(i)));
  for (int i = 0; i < 3; ++i) w.set_worker(CoreWorld::name(i), WorkerState::kReady);
}

TEST(PublishedPlan, one_above_half_a_mebibyte_goes_in_a_transaction_that_etcd_takes) {
  CoreWorld w;
  start_three(w, job_of_many_experts(94, 1600));
  ASSERT_EQ(w.plans.size(), 1U) << w.status().reason;
  const std::string& text = w.etcd.get(w.keys.plan("job", Epoch(1)))->value;
  ASSERT_GT(text.size(), 512U << 10);
  ASSERT_LE(text.size(), kMaxPlanBytes);
  EXPECT_TRUE(check_txn({},
                        {{Op::Kind::kPut, w.keys.plan("job", Epoch(1)), text},
                         {Op::Kind::kPut, w.keys.current_plan("job"), to_json(pointer_to(Epoch(1), text))},
                         {Op::Kind::kPut, w.keys.born("job"), to_json(BornRecord{Epoch(1)})}},
                        {}));
}

TEST(PublishedPlan, one_above_a_mebibyte_is_not_made_and_the_job_says_both_numbers) {
  CoreWorld w;
  start_three(w, job_of_many_experts(94, 4000));
  EXPECT_TRUE(w.plans.empty());
  EXPECT_EQ(w.status().state, JobState::kWaiting);
  EXPECT_NE(w.status().reason.find("and may have at most 1048576"), std::string::npos) << w.status().reason;
}

}  // namespace
}  // namespace regroup::coordinator::test
