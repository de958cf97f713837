#include "tests/support/tiny_job.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace regroup {
namespace {

struct Case {
  const char* names;  // what the error must mention
  void (*break_it)(JobSpec&);
};

const Case kCases[] = {
    {"name", [](JobSpec& j) { j.name = "Tiny"; }},
    {"name", [](JobSpec& j) { j.name = ""; }},
    {"name", [](JobSpec& j) { j.name = std::string(64, 'a'); }},
    {"name", [](JobSpec& j) { j.name = "a/b"; }},
    {"secret", [](JobSpec& j) { j.secret = "xyz"; }},
    {"model: vocab_size", [](JobSpec& j) { j.model.vocab_size = 0; }},
    {"model: hidden_size", [](JobSpec& j) { j.model.hidden_size = -64; }},
    {"model: num_attention_heads", [](JobSpec& j) { j.model.num_key_value_heads = 3; }},
    {"model: head_dim", [](JobSpec& j) { j.model.head_dim = 15; }},
    {"model: num_experts_per_tok", [](JobSpec& j) { j.model.num_experts_per_tok = 5; }},
    {"model: intermediate_size", [](JobSpec& j) { j.model.expert_slices = 5; }},
    {"model: rms_norm_eps", [](JobSpec& j) { j.model.rms_norm_eps = std::nan(""); }},
    {"model: rope_theta", [](JobSpec& j) { j.model.rope_theta = 0; }},
    {"model: sliding_window", [](JobSpec& j) { j.model.sliding_window = 0; }},
    {"model: router_jitter_noise", [](JobSpec& j) { j.model.router_jitter_noise = 1; }},
    {"model: dense_layers: a mixtral model has none", [](JobSpec& j) { j.model.dense_layers = {0}; }},
    {"model: dense_layers",
     [](JobSpec& j) {
       j.model.architecture = Architecture::kQwen3Moe, j.model.dense_layers = {2}, j.model.dense_intermediate_size = 8;
     }},
    {"model: dense_layers names every layer",
     [](JobSpec& j) {
       j.model.architecture = Architecture::kQwen3Moe, j.model.dense_layers = {0, 1},
       j.model.dense_intermediate_size = 8;
     }},
    {"model: dense_intermediate_size",
     [](JobSpec& j) { j.model.architecture = Architecture::kQwen3Moe, j.model.dense_layers = {1}; }},
    {"model: dense_intermediate_size", [](JobSpec& j) { j.model.dense_intermediate_size = 8; }},
    {"model: sliding_window (8): an olmoe model has none",
     [](JobSpec& j) { j.model.architecture = Architecture::kOlmoe, j.model.sliding_window = 8; }},
    {"model: head_dim (4) times num_attention_heads",
     [](JobSpec& j) { j.model.architecture = Architecture::kOlmoe, j.model.head_dim = 4; }},
    {"initial_weights", [](JobSpec& j) { j.initial_weights = "model"; }},
    {"initial_digest", [](JobSpec& j) { j.initial_digest = "zz"; }},
    {"data_prefix", [](JobSpec& j) { j.data_prefix = "text"; }},
    {"data_prefix and data_mix",
     [](JobSpec& j) {
       j.data_mix = {{"/a", 1}, {"/b", 1}};
     }},
    {"data_mix[1].prefix",
     [](JobSpec& j) {
       j.data_prefix.clear(), j.data_mix = {{"/a", 1}, {"b", 1}};
     }},
    {"data_mix[0].weight",
     [](JobSpec& j) {
       j.data_prefix.clear(), j.data_mix = {{"/a", 0}, {"/b", 1}};
     }},
    {"data_mix[1].weight",
     [](JobSpec& j) {
       j.data_prefix.clear(), j.data_mix = {{"/a", 1}, {"/b", std::nan("")}};
     }},
    {"data_mix[1].weight is less than 1 / 65536",
     [](JobSpec& j) {
       j.data_prefix.clear(), j.data_mix = {{"/a", 1}, {"/b", 1e-6}};
     }},
    {"steps", [](JobSpec& j) { j.steps = 0; }},
    {"profile.steps", [](JobSpec& j) { j.profile.steps = -1; }},
    {"profile.from_step",
     [](JobSpec& j) {
       j.profile = {j.steps + 1, 1};
     }},
    {"microbatches", [](JobSpec& j) { j.microbatches = 0; }},
    {"microbatches", [](JobSpec& j) { j.microbatches = 2'000'000'000; }},
    {"num_hidden_layers x num_local_experts", [](JobSpec& j) { j.model.num_hidden_layers = 1'000'000'000; }},
    {"chains", [](JobSpec& j) { j.chains = 3; }},
    {"chains (8) must divide microbatches (12)", [](JobSpec& j) { j.microbatches = 12; }},
    {"sequences_per_microbatch", [](JobSpec& j) { j.sequences_per_microbatch = 0; }},
    {"sequence_length (129)", [](JobSpec& j) { j.sequence_length = 129; }},
    {"optimizer.learning_rate is 1e+39, which fp32 cannot hold", [](JobSpec& j) { j.optimizer.learning_rate = 1e39; }},
    {"optimizer.epsilon is 1e-60, which fp32 cannot hold: 0, or 1.2e-38 to 3.4e+38",
     [](JobSpec& j) { j.optimizer.epsilon = 1e-60; }},
    {"optimizer.weight_decay is 1e+300", [](JobSpec& j) { j.optimizer.weight_decay = 1e300; }},
    {"model: initializer_range is 1e+300", [](JobSpec& j) { j.model.initializer_range = 1e300; }},
    {"model: rms_norm_eps is 1e-60", [](JobSpec& j) { j.model.rms_norm_eps = 1e-60; }},
    {"router_z_loss_coef is 1e+300", [](JobSpec& j) { j.router_z_loss_coef = 1e300; }},
    {"optimizer.learning_rate", [](JobSpec& j) { j.optimizer.learning_rate = std::nan(""); }},
    {"optimizer.min_learning_rate", [](JobSpec& j) { j.optimizer.min_learning_rate = 1; }},
    {"optimizer.beta1", [](JobSpec& j) { j.optimizer.beta1 = 1; }},
    {"optimizer.beta2", [](JobSpec& j) { j.optimizer.beta2 = -0.1; }},
    {"optimizer.epsilon", [](JobSpec& j) { j.optimizer.epsilon = 0; }},
    {"optimizer.weight_decay", [](JobSpec& j) { j.optimizer.weight_decay = -1; }},
    {"optimizer.clip_norm", [](JobSpec& j) { j.optimizer.clip_norm = -1; }},
    {"optimizer.warmup_steps", [](JobSpec& j) { j.optimizer.warmup_steps = 61; }},
    {"optimizer.decay_steps goes with schedule wsd", [](JobSpec& j) { j.optimizer.decay_steps = 5; }},
    {"optimizer.decay_steps (0)", [](JobSpec& j) { j.optimizer.schedule = ScheduleKind::kWsd; }},
    {"optimizer.decay_steps (61)",
     [](JobSpec& j) { j.optimizer.schedule = ScheduleKind::kWsd, j.optimizer.decay_steps = 61; }},
    {"validation.data_prefix",
     [](JobSpec& j) {
       j.validation = {"v", "", 5, 2};
     }},
    {"validation.interval",
     [](JobSpec& j) {
       j.validation = {"/v", "", 0, 2};
     }},
    {"validation.microbatches",
     [](JobSpec& j) {
       j.validation = {"/v", "", 5, 0};
     }},
    {"steps", [](JobSpec& j) { j.steps = 3'000'000'000; }},
    {"max_bad_steps", [](JobSpec& j) { j.max_bad_steps = 0; }},
    {"router_z_loss_coef", [](JobSpec& j) { j.router_z_loss_coef = -0.001; }},
    {"elastic.min_nodes", [](JobSpec& j) { j.elastic.min_nodes = 0; }},
    {"elastic.max_nodes", [](JobSpec& j) { j.elastic.min_nodes = 5, j.elastic.max_nodes = 4; }},
    {"elastic.max_groups", [](JobSpec& j) { j.elastic.max_groups = 0; }},
    {"elastic.max_groups (9) is above chains (8)", [](JobSpec& j) { j.elastic.max_groups = 9; }},
    {"elastic.load_gain", [](JobSpec& j) { j.elastic.load_gain = -0.1; }},
    {"elastic.load_gain", [](JobSpec& j) { j.elastic.load_gain = std::nan(""); }},
    {"elastic.worker_memory_bytes", [](JobSpec& j) { j.elastic.worker_memory_bytes = -1; }},
    {"snapshots.snapshot_every_steps", [](JobSpec& j) { j.snapshots.snapshot_every_steps = -1; }},
    {"snapshots.checkpoint_dir", [](JobSpec& j) { j.snapshots.checkpoint_dir = "ckpt"; }},
    {"snapshots.checkpoint_dir", [](JobSpec& j) { j.snapshots.checkpoint_every_steps = 10; }},
    {"snapshots.keep_last", [](JobSpec& j) { j.snapshots.keep_last = 0; }},
    {"heartbeat_ms", [](JobSpec& j) { j.heartbeat_ms = 0; }},
};

TEST(CheckJob, the_sample_passes) {
  const auto result = check_job(testing::tiny_job());
  EXPECT_TRUE(result) << to_string(result.error());
}

TEST(CheckJob, each_contradiction_is_refused_and_named) {
  for (const Case& broken : kCases) {
    JobSpec job = testing::tiny_job();
    broken.break_it(job);
    const auto result = check_job(job);
    ASSERT_FALSE(result) << broken.names;
    EXPECT_EQ(result.error().code, Code::kBadInput);
    EXPECT_NE(result.error().context.find(broken.names), std::string::npos)
        << result.error().context << " should name " << broken.names;
  }
}

TEST(CheckJob, a_head_dim_of_its_own_need_not_divide_the_hidden_size) {
  JobSpec job = testing::tiny_job();
  job.model.hidden_size = 66;
  job.model.head_dim = 32;
  EXPECT_TRUE(check_job(job));
}

}  // namespace
}  // namespace regroup
