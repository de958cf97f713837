// `regroup plan` on imagined clusters: published figures of real models, conservation, and what a loss costs.
#include "cli/job/job_file.hpp"
#include "cli/plan/plan_size.hpp"
#include "cli/plan/what_if_text.hpp"
#include "layout/compute_form.hpp"
#include "layout/units.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <numeric>

namespace regroup::cli {
namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

JobSpec example(const std::string& name) {
  auto file = load_job(std::string(REGROUP_SOURCE_DIR) + "/examples/" + name + "/job.yaml");
  EXPECT_TRUE(file) << file.error().context;
  return file->job;
}

TEST(WhatIf, says_the_published_sizes_of_real_models) {
  const WhatIf small = what_if(example("mixtral-8x7b"), {16, 8, 0}, 0).value();
  EXPECT_EQ(small.parameters, 46'702'792'704);
  EXPECT_NEAR(static_cast<double>(small.active_parameters), 12.88e9, 0.01e9);
  EXPECT_EQ(small.state_bytes, 12 * small.parameters);
  const WhatIf large = what_if(example("mixtral-8x22b"), {16, 8, 0}, 0).value();
  EXPECT_NEAR(static_cast<double>(large.parameters), 140.6e9, 0.1e9);
  EXPECT_NEAR(static_cast<double>(large.active_parameters), 39.1e9, 0.1e9);
}

TEST(PlanSize, a_job_whose_plan_for_max_nodes_is_too_large_is_refused_with_both_numbers) {
  JobSpec job = example("mixtral-8x7b");
  EXPECT_TRUE(check_plan_size(job));
  job.elastic.max_nodes = 16384;
  const auto refused = check_plan_size(job);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kBadInput);
  EXPECT_NE(refused.error().context.find("elastic.max_nodes (16384) nodes would have "), std::string::npos);
  EXPECT_NE(refused.error().context.find("at most 1048576"), std::string::npos);
}

TEST(PlanSize, a_job_that_nobody_can_place_is_not_judged) {
  JobSpec job = example("mixtral-8x7b");
  job.elastic.worker_memory_bytes = 1;
  EXPECT_TRUE(check_plan_size(job));
}

TEST(WhatIf, counts_work_as_the_field_does) {
  ModelShape model = example("mixtral-8x7b").model;
  const Work work = work_per_token(model, 4096);
  // 6 for each active weight but the embedding's, which is looked up, and the norms'.
  const double norms = 4096.0 * 65;
  EXPECT_EQ(work.matrices, 6 * (static_cast<double>(count_active_parameters(model)) - 32000.0 * 4096 - norms));
  EXPECT_EQ(work.attention, 12.0 * 4096 * 4097 / 2 * 32);
  model.sliding_window = 1024;
  EXPECT_LT(work_per_token(model, 4096).attention, 0.5 * work.attention);
  model.sliding_window = 4096;
  EXPECT_EQ(work_per_token(model, 4096).attention, work.attention);
}

TEST(WhatIf, traffic_is_what_the_layout_must_move) {
  const JobSpec job = example("small");
  const std::int64_t rows = static_cast<std::int64_t>(job.microbatches) * job.sequences_per_microbatch *
                            job.sequence_length * job.model.num_experts_per_tok;
  std::int64_t dense = 0, experts = 0;
  for (const Unit& unit : make_units(job.model)) (unit.is_expert() ? experts : dense) += unit.padded_numel() * 4;
  JobSpec one_group = job;
  one_group.elastic.max_groups = 1;
  const Traffic group = what_if(one_group, {2, 1, 0}, 0)->traffic;
  EXPECT_EQ(group.gather, dense);                         // each half to the other
  EXPECT_EQ(group.leaves, job.microbatches * dense / 2);  // each microbatch's leaf: the other's half
  EXPECT_EQ(group.dispatch, 4 * rows / 2 * job.model.hidden_size * 4 * job.model.num_hidden_layers);
  EXPECT_EQ(group.nodes, 0);
  EXPECT_EQ(group.between_machines, group.total());
  one_group.model.expert_slices = 2;  // one on each: every row goes out, and one of two answers comes back
  EXPECT_EQ(what_if(one_group, {2, 1, 0}, 0)->traffic.dispatch, 2 * group.dispatch);
  const Traffic siblings = what_if(job, {2, 1, 0}, 0)->traffic;  // two groups of one
  EXPECT_EQ(siblings.gather + siblings.leaves + siblings.dispatch, 0);
  EXPECT_EQ(siblings.nodes, 2 * (dense + experts));
  EXPECT_EQ(what_if(job, {1, 2, 0}, 0)->traffic.between_machines, 0);
}

TEST(WhatIf, traffic_follows_precision_and_recomputation) {
  JobSpec job = example("small");
  job.elastic.max_groups = 1;
  const Traffic fp32 = what_if(job, {2, 1, 0}, 0)->traffic;
  job.recompute = Recompute::kFull;
  const Traffic again = what_if(job, {2, 1, 0}, 0)->traffic;
  EXPECT_EQ(again.dispatch, fp32.dispatch / 2 * 3) << "forward, forward again, backward";
  EXPECT_EQ(again.gather, fp32.gather);
  job.recompute = Recompute::kNone;
  job.precision = Precision::kBf16;
  const Traffic bf16 = what_if(job, {2, 1, 0}, 0)->traffic;
  EXPECT_EQ(bf16.dispatch, fp32.dispatch / 2);
  EXPECT_EQ(bf16.leaves, fp32.leaves) << "sums are fp32 in either";
  std::int64_t computed_with = 0;
  for (const Unit& unit : make_units(job.model))
    computed_with += unit.is_expert() ? 0 : ComputeForm(unit, job.precision).byte_of(unit.padded_numel());
  EXPECT_EQ(bf16.gather, computed_with);  // each half to the other: norms and routers in fp32, matrices in bf16
}

TEST(WhatIf, losses_say_where_the_state_comes_from) {
  JobSpec job = example("small");
  job.chains = 4;
  const WhatIf two_groups = what_if(job, {4, 1, 0}, 4).value();
  ASSERT_EQ(two_groups.losses.size(), 4u);
  EXPECT_EQ(two_groups.losses[0].state_from, StateFrom::kLive);
  EXPECT_TRUE(two_groups.losses[0].trains);
  EXPECT_EQ(std::accumulate(two_groups.losses[0].groups.begin(), two_groups.losses[0].groups.end(), 0), 3);
  EXPECT_GT(two_groups.losses[0].bytes_to_move, 0);
  EXPECT_GT(two_groups.losses[0].slower, 1.0);
  EXPECT_FALSE(two_groups.losses[3].trains) << "nobody is left";
  job.elastic.max_groups = 1;
  const NodesGone from_snapshots = what_if(job, {4, 1, 0}, 1)->losses[0];
  EXPECT_EQ(from_snapshots.state_from, StateFrom::kSnapshots);
  EXPECT_GT(from_snapshots.bytes_at_once, 0) << "what the lost node kept";
  EXPECT_EQ(two_groups.losses[0].bytes_at_once, 0) << "an intact group moves nothing";
  const WhatIf two_at_once = what_if(job, {4, 1, 0}, 2).value();
  EXPECT_EQ(two_at_once.losses[1].state_from, StateFrom::kSnapshotsOrNowhere);
  EXPECT_NE(what_if_text(job, {4, 1, 0}, two_at_once).find("buddy"), std::string::npos);
  job.snapshots.snapshot_every_steps = 0;
  EXPECT_EQ(what_if(job, {4, 1, 0}, 1)->losses[0].state_from, StateFrom::kNowhere);
  job.elastic.min_nodes = 4;
  EXPECT_NE(what_if(job, {4, 1, 0}, 1)->losses[0].reason.find("min_nodes"), std::string::npos);
}

TEST(WhatIf, without_memory_there_is_a_reason_and_a_figure) {
  const JobSpec job = example("mixtral-8x22b");
  const WhatIf result = what_if(job, {1, 8, 80 * kGiB}, 1).value();
  EXPECT_TRUE(result.placement.groups.empty());
  EXPECT_NE(result.reason.find("does not fit"), std::string::npos) << result.reason;
  EXPECT_GT(result.memory.total(), 80 * kGiB);
  EXPECT_NE(what_if_text(job, {1, 8, 80 * kGiB}, result).find("does not fit"), std::string::npos);
  EXPECT_FALSE(what_if(job, {16384, 8, 0}, 0));
}

TEST(WhatIf, text_and_json_hold_the_figures) {
  const JobSpec job = example("mixtral-8x7b");
  const WhatIf result = what_if(job, {16, 8, 0}, 2).value();
  const std::string text = what_if_text(job, {16, 8, 0}, result);
  for (const char* word : {"46.70 G", "12.88 G", "FLOP a token", "memory", "wire", "between machines", "1 gone"})
    EXPECT_NE(text.find(word), std::string::npos) << word << "\n" << text;
  const auto json = nlohmann::json::parse(what_if_json(result));
  EXPECT_EQ(json["parameters"], result.parameters);
  EXPECT_EQ(json["losses"].size(), 2u);
  EXPECT_EQ(json["memory_bytes"]["total"], result.memory.total());
}

}  // namespace
}  // namespace regroup::cli
