#include "api/job_terms.hpp"

#include "tests/support/tiny_job.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <functional>
#include <map>
#include <set>

namespace regroup {
namespace {

using testing::tiny_job;

std::string against_tiny(const JobSpec& job) {
  return contradiction("that job", terms_of(tiny_job()), Step(4), terms_of(job), may_change(job));
}

TEST(JobTermsOfJob, whatever_determines_the_weights_is_among_them) {
  const std::vector<std::pair<std::string, std::function<void(JobSpec&)>>> changes = {
      {"seed: ", [](JobSpec& job) { job.seed = 2; }},
      {"precision: that job had fp32, this one has bf16", [](JobSpec& job) { job.precision = Precision::kBf16; }},
      {"microbatches: that job had 16, this one has 32", [](JobSpec& job) { job.microbatches = 32; }},
      {"chains: that job had 8, this one has 4", [](JobSpec& job) { job.chains = 4; }},
      {"sequences_per_microbatch: ", [](JobSpec& job) { job.sequences_per_microbatch = 4; }},
      {"sequence_length: ", [](JobSpec& job) { job.sequence_length = 32; }},
      {"data: ", [](JobSpec& job) { job.data_digest = "other"; }},
      {"separate_documents: ", [](JobSpec& job) { job.separate_documents = true; }},
      {"router_z_loss_coef: ", [](JobSpec& job) { job.router_z_loss_coef = 0.001; }},
      {"model's start weights: that job had those drawn from the seed, this one has those of digest 12",
       [](JobSpec& job) { job.initial_digest = "12"; }},
      {"model.rope_theta: ", [](JobSpec& job) { job.model.rope_theta = 5; }},
      {"model.sliding_window: that job had null, this one has 16", [](JobSpec& job) { job.model.sliding_window = 16; }},
      {"model.router_aux_loss_coef: ", [](JobSpec& job) { job.model.router_aux_loss_coef = 0.5; }},
      {"optimizer.learning_rate: that job had 0.0003, this one has 0.0001",
       [](JobSpec& job) { job.optimizer.learning_rate = 1e-4; }},
      {"optimizer.min_learning_rate: ", [](JobSpec& job) { job.optimizer.min_learning_rate = 1e-5; }},
      {"optimizer.beta1: ", [](JobSpec& job) { job.optimizer.beta1 = 0.8; }},
      {"optimizer.beta2: ", [](JobSpec& job) { job.optimizer.beta2 = 0.99; }},
      {"optimizer.epsilon: ", [](JobSpec& job) { job.optimizer.epsilon = 1e-6; }},
      {"optimizer.weight_decay: ", [](JobSpec& job) { job.optimizer.weight_decay = 0; }},
      {"optimizer.clip_norm: ", [](JobSpec& job) { job.optimizer.clip_norm = 0; }},
      {"optimizer.warmup_steps: ", [](JobSpec& job) { job.optimizer.warmup_steps = 3; }},
      {"optimizer.schedule: that job had cosine, this one has linear",
       [](JobSpec& job) { job.optimizer.schedule = ScheduleKind::kLinear; }},
      {"optimizer.schedule_steps: ", [](JobSpec& job) { job.optimizer.schedule_steps = 90; }},
      {"steps: that job had 60, this one has 61", [](JobSpec& job) { job.steps = 61; }},
  };
  for (const auto& [says, change] : changes) {
    JobSpec job = tiny_job();
    change(job);
    EXPECT_EQ(against_tiny(job).substr(0, says.size()), says) << against_tiny(job);
  }
}

// A job that says all that a job can say.
JobSpec talkative_job() {
  JobSpec job = tiny_job();
  job.companions = {"tokenizer.json 01"};
  job.data_mix = {{"/data/a", 1}, {"/data/b", 2}};
  job.separate_documents = job.lengthens = job.changes_terms = job.schedule_ended_anew = job.terms_changed = true;
  job.optimizer.decay_steps = 2;
  job.optimizer.schedule_steps = 50;
  job.validation = {"/data/held-out", "aa", 5, 2};
  job.max_bad_steps = 3;
  job.router_z_loss_coef = 0.001;
  job.profile = {3, 2};
  return job;
}

TEST(JobTermsOfJob, every_key_of_a_job_determines_the_weights_or_is_known_not_to) {
  std::set<std::string> terms = {"steps", "optimizer.schedule_steps", "optimizer.decay_steps"};  // with rules of theirs
  const std::map<std::string, std::string> digests = {{"model's start weights", "initial_digest"},
                                                      {"data", "data_digest"}};
  for (const auto& [key, value] : terms_of(talkative_job()).values)
    terms.insert(digests.contains(key) ? digests.at(key) : key);
  const std::set<std::string> no_terms = {"name",
                                          "secret",
                                          "initial_weights",
                                          "companions",
                                          "recompute",
                                          "max_bad_steps",
                                          "data_mix",
                                          "data_prefix",
                                          "lengthens",
                                          "schedule_ended_anew",
                                          "changes_terms",
                                          "terms_changed",
                                          "elastic",
                                          "snapshots",
                                          "validation",
                                          "profile",
                                          "heartbeat_ms",
                                          "allow_mixed_fingerprints"};
  std::set<std::string> said;
  const auto all = nlohmann::json::parse(to_json(talkative_job()));
  for (const auto& [key, value] : all.items()) {
    if (key == "model" || key == "optimizer") {
      for (const auto& [inner, ignored] : value.items()) said.insert(key + "." + inner);
    } else {
      said.insert(key);
    }
  }
  std::set<std::string> known = terms;
  known.insert(no_terms.begin(), no_terms.end());
  EXPECT_EQ(said, known) << "a new key belongs to one of them: does it change a bit?";
  EXPECT_EQ(known.size(), terms.size() + no_terms.size());
}

TEST(JobTermsOfJob, what_changes_no_bit_is_not) {
  JobSpec job = tiny_job();
  job.secret = "11";
  job.data_prefix = "/moved/text";
  job.recompute = Recompute::kFull;
  job.max_bad_steps = 3;
  job.elastic = {2, 4, 1, 1 << 30, 0.5};
  job.snapshots = {5, 7, "/elsewhere", 9};
  job.validation = {"/data/held-out", "aa", 5, 2};
  job.profile = {3, 2};
  job.heartbeat_ms = 500;
  job.allow_mixed_fingerprints = true;
  EXPECT_EQ(against_tiny(job), "");
}

TEST(JobTermsOfJob, optimizer_and_data_may_be_others_where_the_job_says_that_it_changes_them) {
  JobSpec job = tiny_job();
  job.optimizer.learning_rate = 1e-4;
  job.data_digest = "other";
  const TermsChain chain = {{Step(0), terms_of(tiny_job())}};
  EXPECT_NE(against_tiny(job).find("; --other-terms lets a job go on with another optimizer or other data"),
            std::string::npos)
      << against_tiny(job);
  job.changes_terms = true;
  EXPECT_EQ(against_tiny(job), "");
  EXPECT_TRUE(terms_changed(chain, job));
  EXPECT_FALSE(terms_changed(chain, tiny_job()));
  job.seed = 2;
  job.microbatches = 32;
  EXPECT_EQ(against_tiny(job).find("microbatches: that job had 16, this one has 32; seed: that job had "), 0u)
      << against_tiny(job);
}

TEST(JobTermsOfJob, weights_are_others_where_a_learning_rate_was_used_that_the_job_does_not_have) {
  JobSpec job = tiny_job();
  job.optimizer.warmup_steps = 10;
  const TermsChain chain = {{Step(0), terms_of(job)}};
  JobSpec longer = job;
  longer.steps = 100;
  EXPECT_TRUE(schedule_ended_anew(chain, Step(60), longer));
  EXPECT_FALSE(schedule_ended_anew(chain, Step(10), longer)) << "so far the warm-up alone";
  longer.optimizer.schedule_steps = 60;
  EXPECT_FALSE(schedule_ended_anew(chain, Step(60), longer)) << "the end was kept";

  job.optimizer.schedule = longer.optimizer.schedule = ScheduleKind::kWsd;
  job.optimizer.decay_steps = longer.optimizer.decay_steps = 6;
  longer.optimizer.schedule_steps = 0;
  const TermsChain kept_then_down = {{Step(0), terms_of(job)}};
  EXPECT_FALSE(schedule_ended_anew(kept_then_down, Step(54), longer));
  EXPECT_TRUE(schedule_ended_anew(kept_then_down, Step(55), longer));

  job.optimizer = longer.optimizer = {};
  job.optimizer.schedule = longer.optimizer.schedule = ScheduleKind::kConstant;
  EXPECT_FALSE(schedule_ended_anew({{Step(0), terms_of(job)}}, Step(60), longer));
}

TEST(JobTermsOfJob, a_schedule_may_end_before_or_after_the_last_step) {
  JobSpec job = tiny_job();
  for (const std::int64_t end : {20, 60, 500}) {
    job.optimizer.schedule_steps = end;
    EXPECT_TRUE(check_job(job));
    EXPECT_EQ(terms_of(job).schedule_end, end);
    EXPECT_EQ(job_from_json(to_json(job))->optimizer.schedule_steps, end);
  }
  job.optimizer.warmup_steps = 501;
  EXPECT_EQ(check_job(job).error().context, "optimizer.warmup_steps (501) must be between 0 and schedule_steps (500)");
  job.optimizer.warmup_steps = 0;
  job.optimizer.schedule = ScheduleKind::kConstant;
  EXPECT_NE(check_job(job).error().context.find("a constant one has no end"), std::string::npos);
  job.optimizer.schedule_steps = -1;
  EXPECT_NE(check_job(job).error().context.find("must be between 1 and"), std::string::npos);
}

}  // namespace
}  // namespace regroup
