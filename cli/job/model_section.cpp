#include "cli/job/model_section.hpp"

#include "checkpoint/core/hugging_face_config.hpp"
#include "checkpoint/io/foreign_weights.hpp"
#include "cli/job/beside_file.hpp"

namespace regroup::cli {
namespace {

namespace fs = std::filesystem;

void read_model_fields(YamlSection& model, ModelShape& shape) {
  model.read("vocab_size", shape.vocab_size);
  model.read("hidden_size", shape.hidden_size);
  model.read("intermediate_size", shape.intermediate_size);
  model.read("num_hidden_layers", shape.num_hidden_layers);
  model.read("num_attention_heads", shape.num_attention_heads);
  model.read("num_key_value_heads", shape.num_key_value_heads);
  model.read("head_dim", shape.head_dim);
  model.read("num_local_experts", shape.num_local_experts);
  model.read("num_experts_per_tok", shape.num_experts_per_tok);
  model.read("max_position_embeddings", shape.max_position_embeddings);
  model.read("tie_word_embeddings", shape.tie_word_embeddings);
  model.read("rms_norm_eps", shape.rms_norm_eps);
  model.read("rope_theta", shape.rope_theta);
  model.read("router_aux_loss_coef", shape.router_aux_loss_coef);
  model.read("router_jitter_noise", shape.router_jitter_noise);
  model.read("initializer_range", shape.initializer_range);
  model.read("expert_slices", shape.expert_slices);
  if (const auto window = model.find("sliding_window"); window && !window->IsNull()) {
    std::int64_t tokens = 0;
    model.read("sliding_window", tokens);
    shape.sliding_window = tokens;
  }
}

// A config.json, or the directory that holds one.
ModelShape read_model_config(const YamlSection& section, const char* key, const fs::path& job_file,
                             const std::string& value) {
  fs::path path = absolute_from(job_file, value);
  if (fs::is_directory(path)) path /= "config.json";
  const auto text = read_text(path);
  if (!text) section.refuse(key, "is '" + value + "': " + text.error().context);
  auto shape = checkpoint::shape_from_config_json(*text);
  if (!shape) section.refuse(key, "is '" + value + "': " + path.string() + ": " + shape.error().context);
  return *shape;
}

}  // namespace

// `model: DIR` and model.from are a model, its weights included; everything else is a shape alone.
ModelSection read_model(YamlSection& root, const fs::path& job_file) {
  ModelSection read;
  const auto node = root.find("model");
  if (!node)
    root.refuse("model",
                "is missing: give the fields of a Hugging Face config.json, or the path of one or of its directory");
  if (node->IsScalar()) {
    const std::string path = absolute_from(job_file, node->Scalar());
    if (checkpoint::ForeignWeights::present(path)) read.initial_weights = path;
    read.shape = read_model_config(root, "model", job_file, node->Scalar());
    return read;
  }
  YamlSection model = root.section("model");
  ModelShape& shape = read.shape;
  std::string config, from;
  model.read("config", config);
  model.read("from", from);
  if (!from.empty()) {
    if (!config.empty())
      model.refuse("from",
                   "and config are both given: `from` takes a directory's weights with its config.json, `config` the "
                   "config.json alone");
    const std::string path = absolute_from(job_file, from);
    if (!checkpoint::ForeignWeights::present(path))
      model.refuse("from", "is '" + from + "', which holds no weights; `config: " + from + "` takes the shape alone");
    shape = read_model_config(model, "from", job_file, from);
    read.initial_weights = path;
  }
  if (!config.empty()) {
    shape = read_model_config(model, "config", job_file, config);
    if (const std::string path = absolute_from(job_file, config); checkpoint::ForeignWeights::present(path))
      read.notes.push_back(
          path +
          " holds weights; model.config takes its config.json alone: training starts from random weights. `model: " +
          config + "` starts from the weights");
  }
  read_model_fields(model, shape);
  if (shape.num_key_value_heads == 0) shape.num_key_value_heads = shape.num_attention_heads;
  if (shape.head_dim == 0 && shape.num_attention_heads > 0) {
    if (shape.hidden_size % shape.num_attention_heads != 0)
      model.refuse("hidden_size", "is " + std::to_string(shape.hidden_size) + ", which num_attention_heads = " +
                                      std::to_string(shape.num_attention_heads) + " does not divide");
    shape.head_dim = shape.hidden_size / shape.num_attention_heads;
  }
  model.refuse_unknown();
  return read;
}

}  // namespace regroup::cli
