// The section `model` of a job file, and the config.json that it names.
#include "checkpoint/core/hugging_face.hpp"
#include "checkpoint/core/hugging_face_config.hpp"
#include "tests/cli/job_file_fixture.hpp"

namespace regroup::cli {
namespace {

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

}  // namespace
}  // namespace regroup::cli
