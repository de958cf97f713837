#include "cli/job/job_file.hpp"

#include "checkpoint/core/hugging_face.hpp"
#include "checkpoint/core/hugging_face_config.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>

namespace regroup::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGood = R"(name: good
seed: 3
data: data/text
model:
  vocab_size: 512
  hidden_size: 64
  intermediate_size: 96
  num_hidden_layers: 2
  num_attention_heads: 4
  num_key_value_heads: 2
  num_local_experts: 4
  num_experts_per_tok: 2
steps: 10
microbatches: 8
sequences_per_microbatch: 1
sequence_length: 32
optimizer:
  learning_rate: 1e-3
  schedule: linear
elastic:
  max_groups: 2
  worker_memory: 2GiB
  load_gain: 0.25
snapshots:
  every_steps: 2
  dir: ckpt
)";

class JobFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "regroup-job-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir = pattern;
  }
  void TearDown() override { fs::remove_all(dir); }

  Result<JobFile> load(const std::string& text) const {
    std::ofstream(dir / "job.yaml") << text;
    return load_job((dir / "job.yaml").string());
  }
  // kGood with one text replaced; the complaint about it.
  [[nodiscard]] std::string complaint(const std::string& from, const std::string& to) const {
    std::string text = kGood;
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    auto job = load(text);
    return job ? "" : job.error().context;
  }

  fs::path dir;
};

#define EXPECT_SAYS(said, what) EXPECT_NE((said).find(what), std::string::npos) << (said)

TEST_F(JobFileTest, a_good_file_becomes_a_job) {
  auto file = load(kGood);
  ASSERT_TRUE(file) << file.error().context;
  const JobSpec& job = file->job;
  EXPECT_EQ(job.name, "good");
  EXPECT_EQ(job.seed, 3u);
  EXPECT_EQ(job.data_prefix, (dir / "data/text").string());
  EXPECT_EQ(job.snapshots.checkpoint_dir, (dir / "ckpt").string());
  EXPECT_EQ(job.model.head_dim, 16);
  EXPECT_EQ(job.model.max_position_embeddings, 32);
  EXPECT_EQ(job.chains, 8);
  EXPECT_EQ(job.optimizer.learning_rate, 1e-3);
  EXPECT_EQ(job.optimizer.schedule, ScheduleKind::kLinear);
  EXPECT_EQ(job.elastic.worker_memory_bytes, std::int64_t{2} << 30);
  EXPECT_EQ(job.elastic.load_gain, 0.25);
}

TEST_F(JobFileTest, validation_takes_the_set_beside_the_training_data) {
  EXPECT_FALSE(load(kGood)->job.validation.due_at_all());
  const std::string with = std::string(kGood) + "validation: {interval: 4}\n";
  const auto file = load(with);
  ASSERT_TRUE(file) << file.error().context;
  EXPECT_EQ(file->job.validation.data_prefix, (dir / "data/text-validation").string());
  EXPECT_EQ(file->job.validation.microbatches, file->job.microbatches);
  EXPECT_TRUE(file->job.validation.due(8, 10) && file->job.validation.due(10, 10) && !file->job.validation.due(9, 10) &&
              !file->job.validation.due(0, 10));
  EXPECT_SAYS(load(std::string(kGood) + "validation: {interval: 4, microbatch: 1}\n").error().context,
              "did you mean microbatches?");
}

TEST_F(JobFileTest, wsd_falls_over_the_last_tenth_unless_told) {
  EXPECT_SAYS(complaint("linear", "wsd\n  decay_steps: 11"), "optimizer.decay_steps (11)");
  std::string text = kGood;
  text.replace(text.find("linear"), 6, "wsd");
  EXPECT_EQ(load(text)->job.optimizer.decay_steps, 1);
}

TEST_F(JobFileTest, other_steps_bring_their_own_defaults_and_cut_the_schedule) {
  const auto optimizer = [&](const std::string& schedule, std::int64_t steps) {
    std::string text = kGood;
    text.replace(text.find("linear"), 6, schedule);
    std::ofstream(dir / "job.yaml") << text;
    auto file = load_job((dir / "job.yaml").string(), {}, steps);
    EXPECT_TRUE(file) << file.error().context;
    EXPECT_EQ(file->job.steps, steps > 0 ? steps : 10);
    return file->job.optimizer;
  };
  EXPECT_EQ(optimizer("wsd", 200).decay_steps, 20);
  EXPECT_EQ(optimizer("wsd\n  warmup_steps: 5\n  decay_steps: 5", 7).decay_steps, 2);
  EXPECT_EQ(optimizer("wsd\n  warmup_steps: 5\n  decay_steps: 5", 3).warmup_steps, 2);
  EXPECT_EQ(optimizer("wsd\n  warmup_steps: 5\n  decay_steps: 5", 3).decay_steps, 1);
  EXPECT_EQ(optimizer("linear\n  warmup_steps: 5", 3).warmup_steps, 3);
  EXPECT_EQ(optimizer("linear\n  warmup_steps: 5", 0).warmup_steps, 5);
}

TEST_F(JobFileTest, a_typo_is_named_with_its_line_and_the_nearest_key) {
  const std::string said = complaint("learning_rate", "learnign_rate");
  EXPECT_SAYS(said, "job.yaml:18: optimizer.learnign_rate");
  EXPECT_SAYS(said, "did you mean learning_rate?");
  EXPECT_SAYS(complaint("steps: 10", "stepz: 10"), "job.yaml:13: stepz is not a key here; did you mean steps?");
  for (const char* line : {"name: good\n", "data: data/text\n", "steps: 10\n", "microbatches: 8\n",
                           "sequences_per_microbatch: 1\n", "sequence_length: 32\n"}) {
    const std::string key(line, std::string(line).find(':'));
    EXPECT_SAYS(complaint(line, ""), ": " + key + " is missing");
  }
  EXPECT_SAYS(complaint("seed: 3", "? [a, b]\n: 3"), "job.yaml:2:  has a key that is not a word");
  EXPECT_SAYS(complaint("  dir: ckpt\n", "  dir: ckpt\n---\nname: other\n"), "holds a second document");
  EXPECT_SAYS(complaint("seed", "sead"), "did you mean seed?");
  EXPECT_SAYS(complaint("max_groups", "max_group"), "elastic.max_group is not a key here; did you mean max_groups?");
  EXPECT_SAYS(complaint("num_hidden_layers: 2", "num_hidden_layers: 2\n  layers: 2"),
              "did you mean num_hidden_layers?");
  EXPECT_SAYS(complaint("linear", "liner"), "did you mean linear?");
}

TEST_F(JobFileTest, a_wrong_type_is_named) {
  EXPECT_SAYS(complaint("steps: 10", "steps: ten"), "steps is 'ten', must be a whole number");
  EXPECT_SAYS(complaint("steps: 10", "steps: 1.5"), "must be a whole number");
  EXPECT_SAYS(complaint("seed: 3", "seed: -3"), "not negative");
  EXPECT_SAYS(complaint("steps: 10", "steps: [10]"), "steps must be a whole number");
  EXPECT_SAYS(complaint("2GiB", "much"), "elastic.worker_memory is 'much'");
  EXPECT_SAYS(complaint("learning_rate: 1e-3", "learning_rate: .nan"), "finite");
  EXPECT_SAYS(complaint("elastic:\n  max_groups: 2\n  worker_memory: 2GiB\n  load_gain: 0.25", "elastic: 4"),
              "elastic must be a mapping");
}

TEST_F(JobFileTest, data_may_be_several_sets_with_weights) {
  std::string text = kGood;
  const std::string one = "data: data/text\n";
  text.replace(text.find(one), one.size(), "data:\n  - path: data/web\n    weight: 0.9\n  - path: /data/books\n");
  auto file = load(text);
  ASSERT_TRUE(file) << file.error().context;
  EXPECT_EQ(file->job.data_prefix, "");
  EXPECT_EQ(file->job.data_mix, (std::vector<DataSource>{{(dir / "data/web").string(), 0.9}, {"/data/books", 1}}));
  EXPECT_EQ(data_sources(file->job), file->job.data_mix);
  const std::string from = "data: data/text";
  EXPECT_EQ(complaint(from, "data: [{path: data/text}]"), "");
  EXPECT_SAYS(complaint(from, "data: []"), "data is an empty list");
  EXPECT_SAYS(complaint(from, "data: [{path: a}, {path: b, weight: 0}]"), "data[1].weight must be above 0");
  EXPECT_SAYS(complaint(from, "data: [{path: a}, {weight: 1}]"), "data[1].path is missing");
  EXPECT_SAYS(complaint(from, "data: [{path: a}, {path: b, wieght: 1}]"),
              "data[1].wieght is not a key here; did you mean weight?");
  EXPECT_SAYS(complaint(from, "data: [{path: a}, {path: b, weight: 1e-7}]"), "data[1].weight is less than 1 / 65536");
  EXPECT_SAYS(complaint(from, "data: [a, b]"), "data[0] must be a mapping");
  EXPECT_FALSE(file->job.separate_documents);
  EXPECT_EQ(complaint(from, from + "\nseparate_documents: true"), "");
  EXPECT_SAYS(complaint(from, from + "\nseparate_documents: 3"), "separate_documents");
}

TEST_F(JobFileTest, precision_and_recompute_are_words) {
  std::string text = kGood;
  text.replace(text.find("seed: 3"), 7, "seed: 3\nprecision: bf16\nrecompute: full");
  auto file = load(text);
  ASSERT_TRUE(file) << file.error().context;
  EXPECT_EQ(file->job.precision, Precision::kBf16);
  EXPECT_EQ(file->job.recompute, Recompute::kFull);
  EXPECT_SAYS(complaint("seed: 3", "seed: 3\nprecision: fp16"), "precision");
  EXPECT_SAYS(complaint("seed: 3", "seed: 3\nrecompute: some"), "recompute");
}

TEST_F(JobFileTest, a_key_given_twice_is_refused) {
  EXPECT_SAYS(complaint("seed: 3", "seed: 3\nseed: 4"), "seed is given twice");
}

TEST_F(JobFileTest, contradictions_are_refused) {
  EXPECT_SAYS(complaint("steps: 10", "steps: 10\nchains: 3"), "chains");
  EXPECT_SAYS(complaint("microbatches: 8", "microbatches: 8\nchains: 16"), "chains");
  EXPECT_SAYS(complaint("max_groups: 2", "max_groups: 9"), "groups");
  EXPECT_SAYS(complaint("hidden_size: 64", "hidden_size: 65"), "hidden_size");
  EXPECT_SAYS(complaint("num_experts_per_tok: 2", "num_experts_per_tok: 5"), "num_experts_per_tok");
  EXPECT_SAYS(complaint("dir: ckpt", "checkpoint_every_steps: 4"), "snapshots.dir is not");
  EXPECT_SAYS(complaint("name: good", "name: Not/Good"), "name");
}

TEST_F(JobFileTest, chains_default_to_a_power_of_two_that_divides_the_microbatches) {
  const auto chains = [&](int microbatches, int groups) {
    std::string text = kGood;
    text.replace(text.find("microbatches: 8"), 15, "microbatches: " + std::to_string(microbatches));
    text.replace(text.find("max_groups: 2"), 13, "max_groups: " + std::to_string(groups));
    auto file = load(text);
    return file ? file->job.chains : -1;
  };
  EXPECT_EQ(chains(64, 2), 8);
  EXPECT_EQ(chains(64, 3), 8);
  EXPECT_EQ(chains(12, 2), 4);
  EXPECT_EQ(chains(4, 2), 4);
}

TEST_F(JobFileTest, without_a_word_on_groups_there_are_as_many_as_the_microbatches_allow) {
  const auto groups = [&](const std::string& microbatches) {
    std::string text = kGood;
    text.replace(text.find("microbatches: 8"), 15, "microbatches: " + microbatches);
    text.replace(text.find("max_groups: 2"), 13, "min_nodes: 1");
    auto file = load(text);
    return file ? std::to_string(file->job.elastic.max_groups) : file.error().context;
  };
  EXPECT_EQ(groups("1"), "1");
  EXPECT_EQ(groups("7"), "1");
  EXPECT_EQ(groups("6"), "2");
  EXPECT_EQ(groups("8\nchains: 1"), "1");
  EXPECT_SAYS(complaint("microbatches: 8", "microbatches: 7"),
              "elastic.max_groups is 2, but microbatches (7) can be cut for 1 at most");
}

TEST_F(JobFileTest, what_is_not_yaml_or_not_there_is_refused) {
  EXPECT_SAYS(complaint("seed: 3", "seed: [3"), "not YAML");
  EXPECT_SAYS(load("- a\n- b\n").error().context, "must be a mapping");
  EXPECT_SAYS(load("").error().context, "must be a mapping");
  auto absent = load_job((dir / "absent.yaml").string());
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Code::kNotFound);
  EXPECT_FALSE(load_job(dir.string()));
}

TEST_F(JobFileTest, a_model_may_be_a_config_json_or_its_directory) {
  fs::create_directory(dir / "hf");
  std::ofstream(dir / "hf/config.json")
      << R"({"model_type": "mixtral", "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48,
    "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
    "num_local_experts": 3, "num_experts_per_tok": 1,
    "max_position_embeddings": 64, "rope_parameters": {"rope_theta": 5000.0, "rope_type": "default"},
    "sliding_window": null,
    "hidden_act": "silu", "dtype": "float32"})";
  const std::string head =
      "name: a\ndata: d\nsteps: 1\nmicrobatches: 2\nsequences_per_microbatch: 1\nsequence_length: 8\n";
  for (const std::string model : {"model: hf/config.json\n", "model:\n  config: hf\n"}) {
    auto file = load(head + model);
    ASSERT_TRUE(file) << file.error().context;
    EXPECT_EQ(file->job.model.vocab_size, 300);
    EXPECT_EQ(file->job.model.head_dim, 16);
    EXPECT_EQ(file->job.model.rope_theta, 5000.0);
    EXPECT_FALSE(file->job.model.sliding_window);
  }
  auto changed = load(head + "model:\n  config: hf\n  num_hidden_layers: 4\n");
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->job.model.num_hidden_layers, 4);
  const std::string alone = load(head + "model: hf\n").error().context;
  EXPECT_SAYS(alone, "hf holds no weights that are read here");
  EXPECT_SAYS(alone, "`model: hf/config.json` takes the shape alone");
  std::ofstream(dir / "hf/model.safetensors") << "x";
  EXPECT_EQ(load(head + "model: hf\n")->job.initial_weights, (dir / "hf").string());
  EXPECT_EQ(load(head + "model: hf\n")->notes.size(), 0u);
  EXPECT_EQ(load(head + "model: hf/config.json\n")->job.initial_weights, "");
  EXPECT_EQ(load(head + "model: hf/config.json\n")->notes.size(), 1u);
  auto shape_alone = load(head + "model:\n  config: hf\n");
  EXPECT_EQ(shape_alone->job.initial_weights, "");
  ASSERT_EQ(shape_alone->notes.size(), 1u);
  EXPECT_SAYS(shape_alone->notes[0], "random weights");
  auto sliced = load(head + "model:\n  from: hf\n  expert_slices: 4\n");
  ASSERT_TRUE(sliced) << sliced.error().context;
  EXPECT_EQ(sliced->job.initial_weights, (dir / "hf").string());
  EXPECT_EQ(sliced->job.model.expert_slices, 4);
  EXPECT_SAYS(load(head + "model:\n  from: hf\n  config: hf\n").error().context, "both given");
  EXPECT_SAYS(load(head + "model:\n  from: nowhere\n").error().context, "cannot read");
  EXPECT_TRUE(load(head + "model: nowhere\n").error().context.ends_with("/nowhere: No such file or directory"));
  fs::create_directory(dir / "adapter");
  std::ofstream(dir / "adapter/adapter_config.json") << "{}";
  EXPECT_SAYS(load(head + "model: adapter\n").error().context, "there: adapter_config.json (an adapter");
  fs::remove(dir / "hf/model.safetensors");
  EXPECT_SAYS(load(head + "model:\n  from: hf\n").error().context, "hf holds no weights that are read here");
}

TEST_F(JobFileTest, a_window_of_the_config_is_taken_away_by_null) {
  fs::create_directory(dir / "window");
  std::ofstream(dir / "window/config.json")
      << R"({"model_type": "mixtral", "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48,
    "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "num_local_experts": 3,
    "num_experts_per_tok": 1, "max_position_embeddings": 64, "sliding_window": 16})";
  const std::string head =
      "name: a\ndata: d\nsteps: 1\nmicrobatches: 2\nsequences_per_microbatch: 1\nsequence_length: 8\n"
      "model:\n  config: window\n";
  EXPECT_EQ(load(head)->job.model.sliding_window, 16);
  EXPECT_EQ(load(head + "  sliding_window: 4\n")->job.model.sliding_window, 4);
  for (const char* none : {"null", "~", ""})
    EXPECT_EQ(load(head + "  sliding_window: " + none + "\n")->job.model.sliding_window, std::nullopt) << none;
}

TEST_F(JobFileTest, a_config_with_dense_layers_keeps_its_number_of_layers) {
  fs::create_directory(dir / "qwen");
  std::ofstream(dir / "qwen/config.json")
      << R"({"model_type": "qwen3_moe", "vocab_size": 300, "hidden_size": 32, "intermediate_size": 80,
    "moe_intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 2, "num_key_value_heads": 1,
    "num_experts": 3, "num_experts_per_tok": 1, "max_position_embeddings": 64, "decoder_sparse_step": 2})";
  const std::string head =
      "name: a\ndata: d\nsteps: 1\nmicrobatches: 2\nsequences_per_microbatch: 1\nsequence_length: 8\n"
      "model:\n  config: qwen\n";
  EXPECT_EQ(load(head)->job.model.dense_layers, (std::vector<std::int64_t>{0, 2}));
  EXPECT_SAYS(load(head + "  num_hidden_layers: 2\n").error().context, "model.num_hidden_layers is not the config's");
}

TEST(ConfigJson, what_is_not_computed_is_refused_by_name) {
  const std::string fields =
      R"("vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 2, "architectures": ["MixtralForCausalLM"],
    "num_local_experts": 3, "num_experts_per_tok": 1, "max_position_embeddings": 64)";
  const auto said = [&](const std::string& extra) {
    auto shape = checkpoint::shape_from_config_json("{" + fields + extra + "}");
    return shape ? std::string() : shape.error().context;
  };
  EXPECT_EQ(said(""), "");
  EXPECT_SAYS(said(R"(, "model_type": "llama")"), "model_type");
  EXPECT_SAYS(said(R"(, "hidden_act": "gelu")"), "hidden_act");
  EXPECT_SAYS(said(R"(, "attention_dropout": 0.1)"), "attention_dropout");
  EXPECT_SAYS(said(R"(, "rope_parameters": {"rope_type": "yarn"})"), "yarn");
  EXPECT_SAYS(said(R"(, "rope_scaling": {"type": "linear", "factor": 2})"), "rope_scaling.type is \"linear\"");
  EXPECT_SAYS(said(R"(, "rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5})"),
              "partial_rotary_factor");
  EXPECT_SAYS(said(R"(, "quantization_config": {"bits": 4})"), "quantised");
  EXPECT_SAYS(said(R"(, "attention_bias": true)"), "attention_bias");
  EXPECT_SAYS(said(R"(, "rms_norm_eps": "small")"), "config.json: rms_norm_eps must be a number, not \"small\"");
  EXPECT_SAYS(said(R"(, "num_hidden_layers": 1.7)"), "num_hidden_layers must be a whole number, not 1.7");
  EXPECT_SAYS(said(R"(, "rope_scaling": "linear")"), "rope_scaling must be an object, not \"linear\"");
  EXPECT_SAYS(said(R"(, "rope_theta": 1e4, "rope_parameters": {"rope_theta": 1e6})"), "but rope_theta is 10000.0");
  EXPECT_SAYS(said(R"(, "rope_parameters": {"full_attention": {"rope_theta": 1e6}})"),
              "rope_parameters.full_attention is an object");
  EXPECT_SAYS(said(R"(, "model_type": "qwen3_moe")"), "architectures names MixtralForCausalLM");
  EXPECT_SAYS(said(R"(, "mlp_only_layers": [0])"), "mlp_only_layers is [0], but every layer of mixtral has experts");
  EXPECT_SAYS(said(R"(, "sliding_window": 8, "use_sliding_window": false)"), "use_sliding_window is false");
  EXPECT_SAYS(said(R"(, "num_experts": 4)"), "num_local_experts is 3, but num_experts is 4");
  EXPECT_SAYS(checkpoint::shape_from_config_json("[]").error().context, "must be an object");
  EXPECT_SAYS(checkpoint::shape_from_config_json("{}").error().context, "model_type is missing");
  EXPECT_SAYS(checkpoint::shape_from_config_json("{\n  \"a\": 1,,\n}", "DIR/config.json").error().context,
              "DIR/config.json: this is not JSON at line 2, column 10: '  \"a\": 1,,'");
  EXPECT_SAYS(checkpoint::shape_from_config_json("version https://git-lfs.github.com/spec/v1\n").error().context,
              "config.json: this is a Git LFS pointer");
}

TEST(ConfigJson, qwens_layers_and_sizes_are_those_of_transformers) {
  const auto shape = [&](const std::string& extra) {
    return checkpoint::shape_from_config_json(
        R"({"model_type": "qwen3_moe", "vocab_size": 300, "hidden_size": 50, "intermediate_size": 80,
    "moe_intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 3, "num_key_value_heads": 1,
    "num_experts": 3, "num_experts_per_tok": 1, "max_position_embeddings": 64, "head_dim": 16)" +
        extra + "}");
  };
  const auto plain = shape("");
  ASSERT_TRUE(plain) << plain.error().context;
  EXPECT_TRUE(check_shape(*plain)) << "a head_dim that is given may be the rounded quotient";
  const std::string written = checkpoint::config_json(*plain);
  EXPECT_SAYS(written, "\"intermediate_size\": 80");
  EXPECT_EQ(*checkpoint::shape_from_config_json(written), *plain);
  EXPECT_EQ(shape(R"(, "sliding_window": 9)")->sliding_window, std::nullopt);
  EXPECT_EQ(shape(R"(, "use_sliding_window": true)")->sliding_window, 4096) << "what transformers takes";
  EXPECT_SAYS(shape(R"(, "mlp_only_layers": [7])").error().context,
              "mlp_only_layers[0] is 7, and there is no such layer: num_hidden_layers is 3");
}

TEST(ConfigJson, both_generations_of_transformers_say_the_same) {
  const std::string fields =
      R"({"model_type": "mixtral", "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48,
    "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": null,
    "num_local_experts": 3, "num_experts_per_tok": 1, "max_position_embeddings": 64, "router_jitter_noise": 0.1,
    "sliding_window": 16, "tie_word_embeddings": true,)";
  const auto four = checkpoint::shape_from_config_json(
      fields + R"("rope_theta": 5000.0, "rope_scaling": null, "torch_dtype": "bfloat16"})");
  const auto five = checkpoint::shape_from_config_json(
      fields + R"("rope_parameters": {"rope_theta": 5000.0, "rope_type": "default"}, "dtype": "float32"})");
  ASSERT_TRUE(four && five);
  EXPECT_EQ(*four, *five);
  EXPECT_EQ(four->rope_theta, 5000.0);
  EXPECT_EQ(four->head_dim, 16);
  EXPECT_EQ(four->router_jitter_noise, 0.1);
  EXPECT_EQ(*four->sliding_window, 16);
  EXPECT_TRUE(four->tie_word_embeddings);
  EXPECT_EQ(checkpoint::shape_from_config_json(fields + "\"x\": 1}")->rope_theta, 1e6)
      << "what transformers takes for a Mixtral without one";
}

// Every key that the source asks its sections for, in a cell of the page.
TEST(Examples, the_page_of_the_job_file_has_every_key) {
  const auto text_of = [](const std::string& path) {
    std::ifstream in(std::string(REGROUP_SOURCE_DIR) + path);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const std::string source = text_of("/cli/job/job_file.cpp") + text_of("/cli/job/model_section.cpp");
  const std::string page = text_of("/docs/job-file.md");
  const std::regex asked(R"re(\.(?:read|read_bytes|read_word|require|section|find)\("([a-z0-9_]+)")re");
  int keys = 0;
  for (auto key = std::sregex_iterator(source.begin(), source.end(), asked); key != std::sregex_iterator();
       ++key, ++keys)
    EXPECT_NE(page.find("`" + (*key)[1].str() + "`"), std::string::npos) << (*key)[1] << " is not in docs/job-file.md";
  EXPECT_GT(keys, 50);
}

TEST(Examples, every_job_file_is_good) {
  int jobs = 0;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(REGROUP_SOURCE_DIR) / "examples")) {
    if (entry.path().filename() != "job.yaml") continue;
    ++jobs;
    auto file = load_job(entry.path().string(), "/as-local-gives-it");
    EXPECT_TRUE(file) << file.error().context;
    if (!file) continue;
    const std::int64_t parameters = count_parameters(file->job.model);
    if (file->job.name == "tiny") {
      EXPECT_NEAR(static_cast<double>(parameters), 2e6, 2e5);
    }
    if (file->job.name == "small") {
      EXPECT_NEAR(static_cast<double>(parameters), 13.6e6, 1e5);
    }
    if (file->job.name == "demo") {
      EXPECT_GE(parameters, 10'000'000);
    }
  }
  EXPECT_GE(jobs, 3);
}

}  // namespace
}  // namespace regroup::cli
