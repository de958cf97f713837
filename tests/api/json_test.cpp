#include "api/job_status.hpp"
#include "api/records.hpp"
#include "tests/support/tiny_job.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <functional>

namespace regroup {
namespace {

using Json = nlohmann::json;

TEST(Json, a_job_comes_back_as_it_was) {
  JobSpec job = testing::tiny_job();
  job.model.sliding_window = 4096;
  job.model.rope_theta = 1234567.891011;
  job.model.router_jitter_noise = 0.01;
  job.model.architecture = Architecture::kQwen3Moe;
  job.model.norm_topk_prob = false;
  job.model.dense_layers = {1};
  job.model.dense_intermediate_size = 96;
  job.initial_weights = "/models/m";
  job.initial_digest = "0123";
  job.companions = {"tokenizer.json 0123456789abcdef"};
  job.precision = Precision::kBf16;
  job.recompute = Recompute::kExperts;
  job.optimizer.schedule = ScheduleKind::kLinear;
  job.optimizer.learning_rate = 1.0 / 3;
  const auto back = job_from_json(to_json(job));
  ASSERT_TRUE(back) << to_string(back.error());
  EXPECT_EQ(*back, job);
  job.data_prefix.clear();
  job.data_mix = {{"/data/web", 0.9}, {"/data/books", 1.0 / 3}};
  job.separate_documents = true;
  job.tokenizer = "/models/sp.model";
  job.router_z_loss_coef = 1e-3;
  job.max_bad_steps = 3;
  job.validation = {"/data/web-validation", "ab", 50, 7};
  job.optimizer.schedule = ScheduleKind::kWsd;
  job.optimizer.decay_steps = 7;
  job.profile = {7, 2};
  job.elastic.load_gain = 0;
  job.changes_terms = job.terms_changed = true;
  const auto mixed = job_from_json(to_json(job));
  ASSERT_TRUE(mixed) << to_string(mixed.error());
  EXPECT_EQ(*mixed, job);
}

TEST(Json, a_plan_comes_back_as_it_was) {
  Plan plan = testing::tiny_plan();
  plan.reason = "said \"so\" \\ twice\n";
  const auto back = plan_from_json(to_json(plan));
  ASSERT_TRUE(back) << to_string(back.error());
  EXPECT_EQ(*back, plan);
  plan.checkpoint_step.reset();
  plan.checkpoint_path.clear();
  const auto without = plan_from_json(to_json(plan));
  ASSERT_TRUE(without) << to_string(without.error());
  EXPECT_EQ(*without, plan);
}

TEST(Json, what_groups_keep_stands_once_where_they_keep_alike) {
  Plan plan = testing::tiny_plan();
  plan.members.push_back(testing::tiny_participant("f"));
  plan.placement.groups[1].end_chain = 7;
  plan.placement.groups.push_back(plan.placement.groups[1]);
  plan.placement.groups[2].ranks = {Rank(3)};
  plan.placement.groups[2].first_chain = 7;
  plan.placement.groups[2].end_chain = 8;
  const Json text = Json::parse(to_json(plan));
  EXPECT_EQ(text["keeps"].size(), 2u);
  EXPECT_EQ(text["groups"][1]["keeps"], text["groups"][2]["keeps"]);
  const auto back = plan_from_json(text.dump());
  ASSERT_TRUE(back) << to_string(back.error());
  EXPECT_EQ(*back, plan);
}

TEST(Json, intervals_and_enums_are_written_as_people_read_them) {
  const Json plan = Json::parse(to_json(testing::tiny_plan()));
  EXPECT_EQ(plan["when"], "boundary");
  EXPECT_EQ(plan["origin"], "resume");
  EXPECT_EQ(plan["keeps"][0]["dense_blocks"][0], (Json::array({Json::array({0, 100}), Json::array({200, 256})})));
  EXPECT_EQ(plan["members"][0]["worker"], "a/1234567890abcdef/0/3");
}

TEST(Json, every_record_comes_back_as_it_was) {
  NodeRecord node;
  node.node = NodeId("n1");
  node.incarnation = 0xffffffffffffffffull;
  node.agent_address = "tcp:h:1";
  node.labels = {{"a", "b"}, {"c", ""}};
  node.workers.push_back(
      {testing::tiny_participant("n1").worker, "tiny", "unix:/w", WorkerState::kWarm, Epoch(9), "fp", "text", true});
  node.highest_epoch = Epoch(9);
  const auto node_back = node_from_json(to_json(node));
  ASSERT_TRUE(node_back) << to_string(node_back.error());
  EXPECT_EQ(to_json(*node_back), to_json(node));
  EXPECT_EQ(node_back->incarnation, node.incarnation);
  EXPECT_EQ(node_back->workers.at(0).state, WorkerState::kWarm);
  EXPECT_EQ(node_back->workers.at(0).id, node.workers.at(0).id);
  EXPECT_TRUE(node_back->workers.at(0).lacks);

  const auto notice = notice_from_json(to_json(NoticeRecord{NodeId("n"), NoticeKind::kSpot, 123}));
  ASSERT_TRUE(notice);
  EXPECT_EQ(notice->node, NodeId("n"));
  EXPECT_EQ(notice->kind, NoticeKind::kSpot);
  EXPECT_EQ(notice->deadline_ms, 123);

  const SuspectRecord suspect{"x", Epoch(4), {{testing::tiny_participant("y").worker, Evidence::kEof, 55}}};
  const auto suspect_back = suspect_from_json(to_json(suspect));
  ASSERT_TRUE(suspect_back);
  EXPECT_EQ(to_json(*suspect_back), to_json(suspect));
  EXPECT_EQ(suspect_back->suspicions.at(0).evidence, Evidence::kEof);

  const auto assignment = assignment_from_json(to_json(AssignmentRecord{"tiny"}));
  ASSERT_TRUE(assignment) << to_string(assignment.error());
  EXPECT_EQ(assignment->job, "tiny");
  EXPECT_FALSE(assignment->ends);
  const WorkerId ended = testing::tiny_participant("n1").worker;
  const auto ends = assignment_from_json(to_json(AssignmentRecord{"tiny", ended, Epoch(3)}));
  ASSERT_TRUE(ends) << to_string(ends.error());
  EXPECT_EQ(ends->ends, ended);
  EXPECT_EQ(ends->ends_in, Epoch(3));

  const auto wish = wish_from_json(to_json(WishRecord{WishKind::kScale, 5, NodeId("")}));
  ASSERT_TRUE(wish);
  EXPECT_EQ(wish->nodes, 5);
  EXPECT_EQ(wish->kind, WishKind::kScale);

  const auto load = load_from_json(to_json(LoadRecord{Epoch(3), Step(40), {5, 0, 1ll << 40}, {7}}));
  ASSERT_TRUE(load) << to_string(load.error());
  EXPECT_EQ(load->epoch, Epoch(3));
  EXPECT_EQ(load->step, Step(40));
  EXPECT_EQ(load->expert_load, (std::vector<std::int64_t>{5, 0, 1ll << 40}));
  EXPECT_EQ(load->load_before, (std::vector<std::int64_t>{7}));

  const auto checkpoint = checkpoint_from_json(to_json(CheckpointRecord{Step(40), Epoch(3), "/c", 1ll << 40}));
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->bytes, 1ll << 40);
  EXPECT_EQ(checkpoint->step, Step(40));

  const auto born = born_from_json(to_json(BornRecord{Epoch(1)}));
  ASSERT_TRUE(born) << to_string(born.error());
  EXPECT_EQ(born->epoch, Epoch(1));
}

TEST(Json, a_loss_that_is_not_a_number_stays_one) {
  ProgressRecord record;
  record.epoch = Epoch(2);
  record.step = Step(8);
  record.loss = std::nan("");
  record.tokens_per_second = 12.5;
  record.state = ProgressState::kWaiting;
  record.reason = "for etcd: at last";
  const auto back = progress_from_json(to_json(record));
  ASSERT_TRUE(back) << to_string(back.error());
  EXPECT_TRUE(std::isnan(back->loss));
  EXPECT_EQ(back->tokens_per_second, 12.5);
  EXPECT_EQ(back->state, record.state);
  EXPECT_EQ(back->reason, record.reason);
}

TEST(Json, text_that_is_no_utf8_is_written_without_an_exception) {
  const JobOutcome outcome{JobState::kFailed, "disk\xff\xfe", Step(1), ""};
  EXPECT_TRUE(job_outcome_from_json(to_json(outcome)));
}

// Removes each member of each object in turn, at any depth, and expects an error that names it.
void remove_each(const Json& whole, const Json::json_pointer& at,
                 const std::function<Result<void>(const std::string&)>& parse, int& removed) {
  const Json& here = whole[at];
  if (here.is_object()) {
    for (const auto& [key, value] : here.items()) {
      if (value.is_null()) continue;  // an absent optional value
      Json broken = whole;
      broken[at].erase(key);
      const auto result = parse(broken.dump());
      if (key == "sliding_window" || key == "checkpoint_step") {
        EXPECT_TRUE(result) << key;
      } else {
        ++removed;
        ASSERT_FALSE(result) << at.to_string() << '/' << key;
        EXPECT_EQ(result.error().code, Code::kBadInput);
        EXPECT_NE(result.error().context.find(key + " is missing"), std::string::npos) << result.error().context;
      }
    }
  }
  if (here.is_structured()) {
    for (const auto& [key, value] : here.items()) {
      if (here.is_array()) {
        remove_each(whole, at / static_cast<std::size_t>(std::stoul(key)), parse, removed);
      } else {
        remove_each(whole, at / key, parse, removed);
      }
    }
  }
}

template <class T>
Result<void> drop(const Result<T>& result) {
  if (!result) return result.error();
  return {};
}

TEST(Json, each_missing_field_of_a_job_and_a_plan_is_named) {
  int removed = 0;
  JobSpec job = testing::tiny_job();
  job.model.sliding_window = 5;
  remove_each(
      Json::parse(to_json(job)), Json::json_pointer(),
      [](const std::string& text) { return drop(job_from_json(text)); }, removed);
  EXPECT_GT(removed, 45);
  removed = 0;
  remove_each(
      Json::parse(to_json(testing::tiny_plan())), Json::json_pointer(),
      [](const std::string& text) { return drop(plan_from_json(text)); }, removed);
  EXPECT_GT(removed, 30);
}

std::string error_of(const Json& plan) {
  const auto result = plan_from_json(plan.dump());
  return result ? "no error" : result.error().context;
}

TEST(Json, a_wrong_value_is_refused_with_its_path) {
  const Json good = Json::parse(to_json(testing::tiny_plan()));
  const auto with = [&](const char* pointer, Json value) {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = std::move(value);
    return error_of(bad);
  };
  EXPECT_EQ(with("/when", "later"), "plan: when is 'later', not one of now, boundary");
  EXPECT_EQ(with("/epoch", -1), "plan: epoch is too small");
  EXPECT_EQ(with("/epoch", "7"), "plan: epoch must be a whole number, not \"7\"");
  EXPECT_EQ(with("/groups/1/first_chain", 1e10),
            "plan: groups[1].first_chain must be a whole number, not 10000000000.0");
  EXPECT_EQ(with("/groups/1/first_chain", 3000000000u), "plan: groups[1].first_chain is too large");
  EXPECT_EQ(with("/groups/1/keeps", 2), "plan: groups[1].keeps is no position in keeps");
  EXPECT_EQ(with("/keeps/0/dense_blocks/1/0", Json::array({5, 5})),
            "plan: keeps[0].dense_blocks[1][0] must be [lo, hi] with 0 <= lo < hi");
  EXPECT_EQ(with("/keeps/0/dense_blocks/1/0", Json::array({5})), "plan: keeps[0].dense_blocks[1][0] must be [lo, hi]");
  EXPECT_EQ(with("/members/2/worker", "c"),
            "plan: members[2].worker must be a worker id (node/incarnation/slot/start), not 'c'");
  EXPECT_EQ(with("/members", 5), "plan: members must be a list, not 5");
  EXPECT_EQ(with("/members/0", 5), "plan: members[0] must be an object, not 5");
}

TEST(Json, text_that_is_not_json_is_refused) {
  EXPECT_FALSE(plan_from_json(""));
  EXPECT_FALSE(plan_from_json("{\"epoch\": 7"));
  EXPECT_FALSE(plan_from_json("[]"));
  EXPECT_FALSE(job_from_json("null"));
}

TEST(Json, a_record_of_another_program_version_is_refused_by_name) {
  NodeRecord node;
  node.node = NodeId("old-node");
  node.version = kProtocolVersion + 1;
  const auto result = node_from_json(to_json(node));
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().context.find("old-node"), std::string::npos) << result.error().context;
  EXPECT_NE(result.error().context.find("version"), std::string::npos);
}

}  // namespace
}  // namespace regroup
