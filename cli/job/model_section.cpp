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
  if (const auto window = model.find("sliding_window"); window && window->IsNull()) {
    shape.sliding_window.reset();  // takes the config's away
  } else if (window) {
    std::int64_t tokens = 0;
    model.read("sliding_window", tokens);
    shape.sliding_window = tokens;
  }
}

fs::path config_path(const fs::path& job_file, const std::string& value) {
  const fs::path path = absolute_from(job_file, value);
  return fs::is_directory(path) ? path / "config.json" : path;
}

// A config.json, or the directory that holds one.
ModelShape read_model_config(const YamlSection& section, const char* key, const fs::path& job_file,
                             const std::string& value) {
  constexpr std::uintmax_t kLongest = std::uintmax_t{64} << 20;  // a file of weights, named by mistake
  const fs::path path = config_path(job_file, value);
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error) {
    const std::string named = absolute_from(job_file, value);
    const auto found = checkpoint::ForeignWeights::look(named);
    section.refuse(key, "is '" + value + "': cannot read " + path.string() + ": " + error.message() +
                            (fs::is_directory(named) && !found ? "; " + found.error().context : ""));
  }
  if (size > kLongest)
    section.refuse(key, "is '" + value + "': " + path.string() + " has " + std::to_string(size) +
                            " bytes; a config.json is meant, or the directory that holds it with its weights");
  const auto text = read_text(path);
  if (!text) section.refuse(key, "is '" + value + "': " + text.error().context);
  auto shape = checkpoint::shape_from_config_json(*text, path.string());
  if (!shape) section.refuse(key, "is '" + value + "': " + shape.error().context);
  return *shape;
}

// The directory's weights, or a refusal that says what it holds.
void take_weights(const YamlSection& section, const char* key, const fs::path& job_file, const std::string& value,
                  ModelSection& read) {
  const std::string path = absolute_from(job_file, value);
  auto notes = checkpoint::ForeignWeights::look(path);
  if (!notes)
    section.refuse(key, "is '" + value + "': " + notes.error().context +
                            (notes.error().code == Code::kNotFound
                                 ? ". `model: " + (fs::path(value) / "config.json").lexically_normal().string() +
                                       "` takes the shape alone and starts from random weights"
                                 : ""));
  read.initial_weights = path;
  read.notes = *notes;
}

void say_that_weights_are_random(const fs::path& job_file, const std::string& value, ModelSection& read) {
  const fs::path directory = config_path(job_file, value).parent_path();
  const auto found = checkpoint::ForeignWeights::look(directory.string());
  if (found || found.error().code != Code::kNotFound)
    read.notes.push_back(directory.string() + " holds weights; " + value +
                         " takes its config.json alone: training starts from random weights. `model: " +
                         directory.string() + "` starts from the weights");
}

}  // namespace

// `model: DIR` and model.from are a model, its weights included; a config.json is a shape alone.
ModelSection read_model(YamlSection& root, const fs::path& job_file) {
  ModelSection read;
  const auto node = root.find("model");
  if (!node)
    root.refuse_missing(
        "model", "is missing: give the fields of a Hugging Face config.json, or the path of one or of its directory");
  if (node->IsScalar()) {
    const std::string& path = node->Scalar();
    read.shape = read_model_config(root, "model", job_file, path);
    if (auto good = check_shape(read.shape); !good)
      root.refuse("model", "is '" + path + "': " + config_path(job_file, path).string() + ": " + good.error().context);
    if (fs::is_directory(absolute_from(job_file, path))) {
      take_weights(root, "model", job_file, path, read);
    } else {
      say_that_weights_are_random(job_file, path, read);
    }
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
    shape = read_model_config(model, "from", job_file, from);
    take_weights(model, "from", job_file, from, read);
  }
  if (!config.empty()) {
    shape = read_model_config(model, "config", job_file, config);
    say_that_weights_are_random(job_file, config, read);
  }
  const std::int64_t layers = shape.num_hidden_layers;
  read_model_fields(model, shape);
  if (!shape.dense_layers.empty() && shape.num_hidden_layers != layers)
    model.refuse("num_hidden_layers",
                 "is not the config's, whose mlp_only_layers or decoder_sparse_step say what each of its " +
                     std::to_string(layers) + " layers is: change it there");
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
