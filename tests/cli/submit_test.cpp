#include "cli/job/submit.hpp"

#include "checkpoint/io/companions.hpp"
#include "cli/job/cluster_file.hpp"
#include "cli/job/cluster_status.hpp"
#include "cli/job/job_tokenizer.hpp"
#include "tests/etcd/memory_store.hpp"
#include "tests/support/tiny_job.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace regroup::cli {
namespace {

JobSpec small_job(const std::string& name) {
  JobSpec job = regroup::testing::tiny_job();
  job.name = name;
  job.secret.clear();  // submit makes one
  job.steps = 10;
  return job;
}

TEST(Submit, a_secret_is_long_and_new_each_time) {
  EXPECT_EQ(make_secret().size(), 64u);
  EXPECT_NE(make_secret(), make_secret());
}

TEST(Submit, two_jobs_of_one_name_are_refused) {
  MemoryStore store;
  const Keys keys("c");
  auto first = submit(store, keys, small_job("a"), SubmitWhere::kCluster);
  ASSERT_TRUE(first) << first.error().context;
  EXPECT_EQ(*first, Submitted::kNew);
  auto second = submit(store, keys, small_job("a"), SubmitWhere::kCluster);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
  EXPECT_NE(second.error().context.find("choose another name"), std::string::npos);
  EXPECT_TRUE(submit(store, keys, small_job("b"), SubmitWhere::kCluster));
}

TEST(Submit, the_same_job_may_go_on_where_that_is_asked_for) {
  MemoryStore store;
  const Keys keys("c");
  ASSERT_TRUE(submit(store, keys, small_job("a"), SubmitWhere::kLocal));
  auto again = submit(store, keys, small_job("a"), SubmitWhere::kLocal);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, Submitted::kGoesOn);
  JobSpec other = small_job("a");
  other.steps = 11;
  EXPECT_NE(submit(store, keys, other, SubmitWhere::kLocal).error().context.find("differs"), std::string::npos);
  JobSpec profiled = small_job("a");  // may change from run to run
  profiled.profile = {2, 3};
  again = submit(store, keys, profiled, SubmitWhere::kLocal);
  ASSERT_TRUE(again) << again.error().context;
  EXPECT_EQ(*again, Submitted::kGoesOn);
  EXPECT_EQ(job_from_json(store.get(keys.spec("a"))->value)->profile, profiled.profile);
  JobOutcome outcome;
  outcome.state = JobState::kFinished;
  ASSERT_TRUE(store.put(keys.outcome("a"), to_json(outcome)));
  EXPECT_NE(submit(store, keys, small_job("a"), SubmitWhere::kCluster).error().context.find("is over (finished)"),
            std::string::npos);
}

TEST(Submit, what_differs_is_named_with_both_values_and_what_changes_no_bit_may) {
  MemoryStore store;
  const Keys keys("c");
  ASSERT_TRUE(submit(store, keys, small_job("a"), SubmitWhere::kLocal));
  JobSpec other = small_job("a");
  other.seed = 2;
  other.microbatches = 32;
  const std::string why = submit(store, keys, other, SubmitWhere::kLocal).error().context;
  EXPECT_NE(why.find("microbatches: that job had 16, this one has 32; seed: that job had 18364758544493064720, this "
                     "one has 2; use another name or directory"),
            std::string::npos)
      << why;
  other = small_job("a");
  other.elastic.max_nodes = 3;
  other.snapshots.snapshot_every_steps = 7;
  ASSERT_TRUE(submit(store, keys, other, SubmitWhere::kLocal));
  EXPECT_EQ(job_from_json(store.get(keys.spec("a"))->value)->elastic.max_nodes, 3);
}

TEST(Submit, what_a_difference_leaves_open_is_said) {
  MemoryStore store;
  const Keys keys("c");
  JobSpec job = small_job("a");
  job.optimizer.schedule = ScheduleKind::kCosine;
  job.data_digest = "one";
  ASSERT_TRUE(submit(store, keys, job, SubmitWhere::kLocal));
  job.data_digest = "other";
  std::string why = submit(store, keys, job, SubmitWhere::kLocal).error().context;
  EXPECT_NE(why.find("when their PREFIX.json names other inputs"), std::string::npos) << why;
  EXPECT_EQ(why.find("schedule_steps"), std::string::npos) << why;
  job.data_digest = "one";
  job.steps = 8;
  why = submit(store, keys, job, SubmitWhere::kLocal).error().context;
  EXPECT_NE(why.find("the old number there keeps it"), std::string::npos) << why;
}

TEST(Submit, a_finished_job_goes_on_to_more_steps_where_it_is_lengthened) {
  MemoryStore store;
  const Keys keys("c");
  JobSpec job = small_job("a");
  job.optimizer.schedule = ScheduleKind::kConstant;
  ASSERT_TRUE(submit(store, keys, job, SubmitWhere::kCluster));
  JobOutcome outcome;
  outcome.state = JobState::kFinished;
  outcome.step = Step(10);
  ASSERT_TRUE(store.put(keys.outcome("a"), to_json(outcome)));
  ASSERT_TRUE(store.put(keys.checkpoint("a", Step(10)), to_json(CheckpointRecord{Step(10), Epoch(3), "/c", 1})));
  job.steps = 12;
  EXPECT_NE(submit(store, keys, job, SubmitWhere::kCluster).error().context.find("--extend gives it more steps"),
            std::string::npos);
  EXPECT_NE(submit(store, keys, job, SubmitWhere::kLocal).error().context.find("--extend lengthens a job"),
            std::string::npos);
  job.steps = 9;
  EXPECT_NE(submit(store, keys, job, SubmitWhere::kLocal).error().context.find("10 are done already"),
            std::string::npos);
  job.steps = 12;
  job.lengthens = true;
  auto longer = submit(store, keys, job, SubmitWhere::kCluster);
  ASSERT_TRUE(longer) << longer.error().context;
  EXPECT_EQ(*longer, Submitted::kGoesOn);
  EXPECT_EQ(job_from_json(store.get(keys.spec("a"))->value)->steps, 12);
  EXPECT_EQ(store.get(keys.outcome("a")).error().code, Code::kNotFound);
}

TEST(Submit, without_a_checkpoint_there_is_nothing_to_extend) {
  JobSpec job = small_job("a");
  EXPECT_TRUE(settle_checkpoint(job, {})->empty());
  EXPECT_NE(settle_checkpoint(job, {.extend = true}).error().context.find("has no snapshots.dir"), std::string::npos);
  job.snapshots.checkpoint_dir = ::testing::TempDir() + "nothing-here";
  EXPECT_TRUE(settle_checkpoint(job, {})->empty());
  for (const Leave& leave : {Leave{.extend = true}, Leave{.other_terms = true}})
    EXPECT_NE(settle_checkpoint(job, leave).error().context.find("nothing to go on from"), std::string::npos);
}

struct StoppedJob {
  MemoryStore store;
  Keys keys{"c"};
  explicit StoppedJob(const JobSpec& job = small_job("a")) {
    EXPECT_TRUE(submit(store, keys, job, SubmitWhere::kCluster));
    JobOutcome outcome;
    outcome.state = JobState::kStopped;
    EXPECT_TRUE(store.put(keys.outcome("a"), to_json(outcome)));
    EXPECT_TRUE(store.put(keys.current_plan("a"), "{}"));
    EXPECT_TRUE(store.put(keys.plan("a", Epoch(3)), "{}"));
    EXPECT_TRUE(store.put(keys.wishes("a") + "stop", to_json(WishRecord{WishKind::kStop, 0, {}})));
    EXPECT_TRUE(store.put(keys.progress("a", NodeId("n")), to_json(ProgressRecord{})));
  }
  void saved() {
    EXPECT_TRUE(store.put(keys.checkpoint("a", Step(5)), to_json(CheckpointRecord{Step(5), Epoch(3), "/c/step-5", 1})));
  }
};

TEST(Submit, a_stopped_job_with_a_checkpoint_goes_on) {
  StoppedJob world;
  world.saved();
  const std::string secret = job_from_json(world.store.get(world.keys.spec("a"))->value)->secret;
  for (const SubmitWhere where : {SubmitWhere::kCluster, SubmitWhere::kLocal}) {
    JobSpec other = small_job("a");
    other.steps = 11;
    EXPECT_NE(submit(world.store, world.keys, other, where).error().context.find("differs"), std::string::npos);
  }
  auto again = submit(world.store, world.keys, small_job("a"), SubmitWhere::kCluster);
  ASSERT_TRUE(again) << again.error().context;
  EXPECT_EQ(*again, Submitted::kGoesOn);
  EXPECT_EQ(job_from_json(world.store.get(world.keys.spec("a"))->value)->secret, secret);
  EXPECT_EQ(world.store.get(world.keys.outcome("a")).error().code, Code::kNotFound);
  EXPECT_EQ(world.store.get(world.keys.current_plan("a")).error().code, Code::kNotFound);
  EXPECT_TRUE(world.store.get(world.keys.plan("a", Epoch(3))));  // the next epoch is above it
  EXPECT_TRUE(world.store.list(world.keys.wishes("a"))->keys.empty());
  EXPECT_TRUE(world.store.list(world.keys.progress("a"))->keys.empty());
  EXPECT_NE(
      submit(world.store, world.keys, small_job("a"), SubmitWhere::kCluster).error().context.find("is not over yet"),
      std::string::npos);
}

TEST(Submit, a_job_that_ended_without_a_checkpoint_begins_anew_unless_it_is_finished) {
  for (const SubmitWhere where : {SubmitWhere::kCluster, SubmitWhere::kLocal}) {
    StoppedJob world;
    ASSERT_TRUE(world.store.put(world.keys.born("a"), to_json(BornRecord{Epoch(2)})));
    const auto again = submit(world.store, world.keys, small_job("a"), where);
    ASSERT_TRUE(again) << again.error().context;
    EXPECT_EQ(*again, Submitted::kBeginsAnew);
    EXPECT_EQ(world.store.get(world.keys.born("a")).error().code, Code::kNotFound);
    EXPECT_TRUE(world.store.get(world.keys.plan("a", Epoch(3)))) << "the next epoch is above it";
  }
  StoppedJob killed;  // a local run that did not come to say so
  ASSERT_TRUE(killed.store.erase(killed.keys.outcome("a")));
  ASSERT_TRUE(killed.store.put(killed.keys.current_plan("a"), "a plan"));
  EXPECT_EQ(*submit(killed.store, killed.keys, small_job("a"), SubmitWhere::kLocal), Submitted::kBeginsAnew);
  EXPECT_EQ(*submit(killed.store, killed.keys, small_job("a"), SubmitWhere::kLocal), Submitted::kGoesOn);
  StoppedJob finished;
  JobOutcome outcome;
  outcome.state = JobState::kFinished;
  ASSERT_TRUE(finished.store.put(finished.keys.outcome("a"), to_json(outcome)));
  EXPECT_NE(submit(finished.store, finished.keys, small_job("a"), SubmitWhere::kLocal)
                .error()
                .context.find("nothing to go on from"),
            std::string::npos);
}

TEST(Tokenizer, of_the_data_is_what_checkpoints_get_and_another_one_of_the_weights_is_noted) {
  const std::string dir = ::testing::TempDir() + "tokenizers";
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir + "/model");
  const auto write = [&](const std::string& name, const std::string& text) { std::ofstream(dir + "/" + name) << text; };
  const auto made_with = [&](const std::string& tokenizer) {
    write("data.json",
          R"({"format": 1, "num_tokens": 1, "max_token": 1, "bin_xxh3": "a", "idx_xxh3": "b", )" + tokenizer + "}");
  };
  JobSpec job = small_job("a");
  job.data_prefix = dir + "/data";
  write("sp.model", "S");
  write("model/tokenizer.model", "S");
  std::string sum = checkpoint::companion_sums(dir + "/model")->front();
  sum = sum.substr(sum.find(' ') + 1);
  const std::string sentencepiece =
      R"("tokenizer": "sentencepiece", "tokenizer_path": ")" + dir + R"(/sp.model", "tokenizer_xxh3": ")" + sum + "\"";
  made_with(sentencepiece);
  EXPECT_TRUE(pin_tokenizer(job).empty());
  EXPECT_EQ(job.tokenizer, dir + "/sp.model") << "random weights have none of their own";
  job.initial_weights = dir + "/model";
  EXPECT_TRUE(pin_tokenizer(job).empty()) << "the same";
  EXPECT_EQ(job.tokenizer, "");
  write("model/tokenizer.model", "another");
  auto notes = pin_tokenizer(job);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find(dir + "/data was made with the SentencePiece model " + dir + "/sp.model (" + sum +
                          "), but the weights in " + dir + "/model have a tokenizer of their own, tokenizer.model ("),
            std::string::npos)
      << notes[0];
  EXPECT_EQ(job.tokenizer, dir + "/sp.model");
  write("sp.model", "changed since");
  ASSERT_EQ(pin_tokenizer(job).size(), 1u);
  EXPECT_EQ(job.tokenizer, "none");
  std::filesystem::remove(dir + "/model/tokenizer.model");
  write("model/tokenizer.json", "{}");
  EXPECT_TRUE(pin_tokenizer(job).empty()) << "what it was made of is not known";
  made_with(R"("tokenizer": "bytes")");
  notes = pin_tokenizer(job);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("was made as bytes"), std::string::npos) << notes[0];
  EXPECT_EQ(job.tokenizer, "none");
  std::filesystem::remove(dir + "/data.json");
  EXPECT_TRUE(pin_tokenizer(job).empty()) << "Megatron's: nobody says";
}

TEST(Submit, what_is_left_of_a_checkpoint_is_noted) {
  JobSpec job = small_job("a");
  job.snapshots.checkpoint_dir = ::testing::TempDir() + "half-a-checkpoint";
  std::filesystem::create_directories(job.snapshots.checkpoint_dir + "/step-00000004.e1");
  const auto notes = settle_checkpoint(job, {});
  ASSERT_TRUE(notes) << notes.error().context;
  ASSERT_EQ(notes->size(), 1u);
  EXPECT_NE(notes->front().find("step-00000004.e1 has no MANIFEST.json"), std::string::npos) << notes->front();
}

TEST(Submit, a_stopped_jobs_checkpoints_must_be_where_it_will_look_for_them) {
  JobSpec job = small_job("a");
  job.snapshots.checkpoint_dir = "/only/the/nodes/see/this";
  StoppedJob world(job);
  world.saved();
  job.snapshots.checkpoint_dir = ::testing::TempDir() + "moved-checkpoints";
  std::filesystem::remove_all(job.snapshots.checkpoint_dir);
  const auto refused = submit(world.store, world.keys, job, SubmitWhere::kCluster);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().context.find("the checkpoints of the job a are in /only/the/nodes/see/this; snapshots.dir "
                                         "is now " +
                                         job.snapshots.checkpoint_dir),
            0u)
      << refused.error().context;
  job.snapshots.checkpoint_dir.clear();
  EXPECT_NE(submit(world.store, world.keys, job, SubmitWhere::kCluster).error().context.find("is now empty"),
            std::string::npos);
  job.snapshots.checkpoint_dir = "/only/the/nodes/see/this";
  EXPECT_TRUE(submit(world.store, world.keys, job, SubmitWhere::kCluster));
}

TEST(Submit, that_a_schedule_was_ended_anew_is_remembered_where_the_checkpoints_are_not_seen) {
  JobSpec job = small_job("a");
  job.schedule_ended_anew = true;
  StoppedJob world(job);
  world.saved();
  ASSERT_TRUE(submit(world.store, world.keys, small_job("a"), SubmitWhere::kCluster));
  EXPECT_TRUE(job_from_json(world.store.get(world.keys.spec("a"))->value)->schedule_ended_anew);
}

TEST(Submit, a_job_that_failed_goes_on_with_other_terms_where_that_is_asked_for) {
  StoppedJob world;
  world.saved();
  JobOutcome outcome;
  outcome.state = JobState::kFailed;
  ASSERT_TRUE(world.store.put(world.keys.outcome("a"), to_json(outcome)));
  JobSpec job = small_job("a");
  job.optimizer.learning_rate = 1e-5;
  const auto refused = submit(world.store, world.keys, job, SubmitWhere::kCluster);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().context.find("is over (failed); --other-terms lets it go on"), std::string::npos)
      << refused.error().context;
  job.changes_terms = job.terms_changed = true;
  const auto again = submit(world.store, world.keys, job, SubmitWhere::kCluster);
  ASSERT_TRUE(again) << again.error().context;
  EXPECT_EQ(*again, Submitted::kGoesOn);
  outcome.state = JobState::kStopped;
  ASSERT_TRUE(world.store.put(world.keys.outcome("a"), to_json(outcome)));
  job.changes_terms = job.terms_changed = false;
  ASSERT_TRUE(submit(world.store, world.keys, job, SubmitWhere::kCluster));
  EXPECT_TRUE(job_from_json(world.store.get(world.keys.spec("a"))->value)->terms_changed) << "it is not forgotten";
}

TEST(Submit, a_job_whose_last_step_was_not_saved_goes_on_from_the_checkpoint_before) {
  StoppedJob world;
  JobOutcome outcome;
  outcome.state = JobState::kFailed;
  outcome.weights_sha256 = "abc";
  ASSERT_TRUE(world.store.put(world.keys.outcome("a"), to_json(outcome)));
  ASSERT_TRUE(world.store.put(world.keys.checkpoint("a", Step(4)),
                              to_json(CheckpointRecord{Step(4), Epoch(3), "/c/step-00000004.e3", 1})));
  auto again = submit(world.store, world.keys, small_job("a"), SubmitWhere::kCluster);
  ASSERT_TRUE(again) << again.error().context;
  EXPECT_EQ(*again, Submitted::kGoesOn);
}

TEST(Submit, checkpoints_that_cannot_be_written_are_refused_where_their_place_is_seen) {
  JobSpec job = small_job("a");
  job.snapshots.checkpoint_dir = "/proc/nope";
  EXPECT_EQ(check_storage(job).error().context,
            "snapshots.dir: cannot make the directory /proc/nope: No such file or directory");
  EXPECT_EQ(check_storage(job).error().code, Code::kBadInput);
  job.snapshots.checkpoint_dir = "/nowhere/of/this/machine";
  EXPECT_TRUE(check_storage(job)) << "the nodes may see it";
  job.snapshots.checkpoint_dir.clear();
  EXPECT_TRUE(check_storage(job));
  job.snapshots.checkpoint_dir = ::testing::TempDir() + "check-storage";
  EXPECT_TRUE(check_storage(job));
  EXPECT_TRUE(std::filesystem::is_empty(job.snapshots.checkpoint_dir));
}

TEST(Submit, data_that_is_not_there_is_named) {
  JobSpec job = small_job("a");
  job.data_prefix = "/nowhere/text";
  JobSpec from_weights = job;
  from_weights.initial_weights = "/nowhere/model";
  EXPECT_NE(pin_weights(from_weights).error().context.find("/nowhere/model holds no weights that are read"),
            std::string::npos);
  EXPECT_TRUE(pin_weights(job)) << "without a directory there is nothing to pin";
  EXPECT_NE(pin_data(job).error().context.find("/nowhere/text.idx"), std::string::npos);
}

TEST(ClusterFile, is_read_back_and_a_wrong_one_is_named_with_its_key) {
  const std::string dir = ::testing::TempDir() + "cluster-file";
  std::filesystem::create_directories(dir);
  ASSERT_TRUE(write_cluster_file(dir, {"127.0.0.1:2379", "local", "tiny"}));
  const auto file = read_cluster_file(dir);
  ASSERT_TRUE(file) << file.error().context;
  EXPECT_EQ(file->etcd + " " + file->cluster + " " + file->job, "127.0.0.1:2379 local tiny");
  std::ofstream(dir + "/cluster.json") << R"({"etcd": 2379})";
  EXPECT_EQ(read_cluster_file(dir).error().context, dir + "/cluster.json: etcd must be a string, not 2379");
  EXPECT_EQ(read_cluster_file(dir + "/nowhere").error().code, Code::kNotFound);
}

TEST(ClusterStatusTest, shows_leader_nodes_jobs_and_what_cannot_be_read) {
  MemoryStore store;
  const Keys keys("c");
  NodeRecord node;
  node.node = NodeId("node-1");
  WorkerRecord worker;
  worker.id = {NodeId("node-1"), 7, 0, 0};
  worker.job = "a";
  worker.state = WorkerState::kTraining;
  node.workers.push_back(worker);
  ASSERT_TRUE(store.put(keys.node(node.node), to_json(node)));
  ASSERT_TRUE(store.put(keys.node(NodeId("node-2")), "garbage"));
  ASSERT_TRUE(store.put(keys.assignment(node.node), to_json(AssignmentRecord{"a"})));
  ASSERT_TRUE(store.put(keys.nodes() + "a/b", to_json(node)));
  ASSERT_TRUE(store.put(keys.assignment(NodeId("node-3")), "garbage"));
  NoticeRecord notice;
  notice.node = node.node;
  ASSERT_TRUE(store.put(keys.notice(node.node), to_json(notice)));
  ASSERT_TRUE(store.put(keys.notice(NodeId("node-4")), "garbage"));
  ASSERT_TRUE(store.put(keys.wish("a", drain_wish(node.node)), to_json(WishRecord{WishKind::kDrain, 0, node.node})));
  ASSERT_TRUE(store.put(keys.leader() + "/1", "coordinator-1"));
  ASSERT_TRUE(submit(store, keys, small_job("b"), SubmitWhere::kCluster));
  ASSERT_TRUE(submit(store, keys, small_job("a"), SubmitWhere::kCluster));
  ProgressRecord progress;
  progress.step = Step(4);
  progress.loss = 2.5;
  ASSERT_TRUE(store.put(keys.progress("a", node.node), to_json(progress)));
  auto status = read_cluster_status(store, keys);
  ASSERT_TRUE(status) << status.error().context;
  EXPECT_EQ(status->leader, "coordinator-1");
  ASSERT_EQ(status->jobs.size(), 2u);
  EXPECT_EQ(status->jobs[0].name, "b");  // submitted first
  EXPECT_EQ(status->jobs[1].progress->step, Step(4));
  const std::string text = status_text(*status);
  EXPECT_EQ(status->unreadable,
            (std::vector<std::string>{keys.nodes() + "a/b", keys.node(NodeId("node-2")),
                                      keys.assignment(NodeId("node-3")), keys.notice(NodeId("node-4"))}));
  for (const char* part : {"coordinator-1 leads", "node-1", "training", "4/10", "2.5000", "nodes/node-2",
                           "leaves: drain", "drained from a (regroup drain --undo)"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  EXPECT_NE(status_json(*status).find("\"tokens_per_second\""), std::string::npos);
}

}  // namespace
}  // namespace regroup::cli
