#include "api/job_spec.hpp"

#include "api/json_values.hpp"

namespace regroup {
namespace {

using json::Field;
using json::Json;

Json to_value(const ModelShape& shape) {
  return {{"model_type", info_of(shape.architecture).model_type},
          {"vocab_size", shape.vocab_size},
          {"hidden_size", shape.hidden_size},
          {"intermediate_size", shape.intermediate_size},
          {"num_hidden_layers", shape.num_hidden_layers},
          {"num_attention_heads", shape.num_attention_heads},
          {"num_key_value_heads", shape.num_key_value_heads},
          {"head_dim", shape.head_dim},
          {"num_local_experts", shape.num_local_experts},
          {"num_experts_per_tok", shape.num_experts_per_tok},
          {"max_position_embeddings", shape.max_position_embeddings},
          {"tie_word_embeddings", shape.tie_word_embeddings},
          {"rms_norm_eps", shape.rms_norm_eps},
          {"rope_theta", shape.rope_theta},
          {"router_aux_loss_coef", shape.router_aux_loss_coef},
          {"router_jitter_noise", shape.router_jitter_noise},
          {"initializer_range", shape.initializer_range},
          {"sliding_window", shape.sliding_window ? Json(*shape.sliding_window) : Json()},
          {"norm_topk_prob", shape.norm_topk_prob},
          {"dense_layers", shape.dense_layers},
          {"dense_intermediate_size", shape.dense_intermediate_size},
          {"expert_slices", shape.expert_slices}};
}

ModelShape read_shape(const Field& in) {
  ModelShape shape;
  const ArchitectureInfo* architecture = find_architecture(in["model_type"].string());
  if (architecture == nullptr)
    in["model_type"].fail("is '" + in["model_type"].string() + "', which is no model family known here");
  shape.architecture = architecture->architecture;
  shape.vocab_size = in["vocab_size"].integer<std::int64_t>();
  shape.hidden_size = in["hidden_size"].integer<std::int64_t>();
  shape.intermediate_size = in["intermediate_size"].integer<std::int64_t>();
  shape.num_hidden_layers = in["num_hidden_layers"].integer<std::int64_t>();
  shape.num_attention_heads = in["num_attention_heads"].integer<std::int64_t>();
  shape.num_key_value_heads = in["num_key_value_heads"].integer<std::int64_t>();
  shape.head_dim = in["head_dim"].integer<std::int64_t>();
  shape.num_local_experts = in["num_local_experts"].integer<std::int64_t>();
  shape.num_experts_per_tok = in["num_experts_per_tok"].integer<std::int64_t>();
  shape.max_position_embeddings = in["max_position_embeddings"].integer<std::int64_t>();
  shape.tie_word_embeddings = in["tie_word_embeddings"].boolean();
  shape.rms_norm_eps = in["rms_norm_eps"].real();
  shape.rope_theta = in["rope_theta"].real();
  shape.router_aux_loss_coef = in["router_aux_loss_coef"].real();
  shape.router_jitter_noise = in["router_jitter_noise"].real();
  shape.initializer_range = in["initializer_range"].real();
  if (const auto window = in.find("sliding_window")) shape.sliding_window = window->integer<std::int64_t>();
  shape.norm_topk_prob = in["norm_topk_prob"].boolean();
  shape.dense_layers = in["dense_layers"].integers<std::int64_t>();
  shape.dense_intermediate_size = in["dense_intermediate_size"].integer<std::int64_t>();
  shape.expert_slices = in["expert_slices"].integer<int>();
  return shape;
}

OptimizerSpec read_optimizer(const Field& in) {
  OptimizerSpec spec;
  spec.learning_rate = in["learning_rate"].real();
  spec.min_learning_rate = in["min_learning_rate"].real();
  spec.beta1 = in["beta1"].real();
  spec.beta2 = in["beta2"].real();
  spec.epsilon = in["epsilon"].real();
  spec.weight_decay = in["weight_decay"].real();
  spec.clip_norm = in["clip_norm"].real();
  spec.warmup_steps = in["warmup_steps"].integer<int>();
  spec.schedule = in["schedule"].word(kScheduleWords);
  if (const auto steps = in.find("decay_steps")) spec.decay_steps = steps->integer<int>();
  if (const auto steps = in.find("schedule_steps")) spec.schedule_steps = steps->integer<std::int64_t>();
  return spec;
}

ElasticSpec read_elastic(const Field& in) {
  ElasticSpec spec;
  spec.min_nodes = in["min_nodes"].integer<int>();
  spec.max_nodes = in["max_nodes"].integer<int>();
  spec.max_groups = in["max_groups"].integer<int>();
  spec.worker_memory_bytes = in["worker_memory_bytes"].integer<std::int64_t>();
  if (const auto gain = in.find("load_gain")) spec.load_gain = gain->real();
  return spec;
}

SnapshotSpec read_snapshots(const Field& in) {
  SnapshotSpec spec;
  spec.snapshot_every_steps = in["snapshot_every_steps"].integer<int>();
  spec.checkpoint_every_steps = in["checkpoint_every_steps"].integer<int>();
  spec.checkpoint_dir = in["checkpoint_dir"].string();
  spec.keep_last = in["keep_last"].integer<int>();
  return spec;
}

ValidationSpec read_validation(const Field& in) {
  ValidationSpec spec;
  spec.data_prefix = in["data_prefix"].string();
  spec.data_digest = in["data_digest"].string();
  spec.interval = in["interval"].integer<std::int64_t>();
  spec.microbatches = in["microbatches"].integer<int>();
  return spec;
}

}  // namespace

JobSpec read_job(const Field& in) {
  JobSpec job;
  job.name = in["name"].string();
  job.secret = in["secret"].string();
  job.model = read_shape(in["model"]);
  job.initial_weights = in["initial_weights"].string();
  job.initial_digest = in["initial_digest"].string();
  if (const auto companions = in.find("companions"))
    for (const Field& line : companions->items()) job.companions.push_back(line.string());
  job.precision = in["precision"].word(kPrecisionWords);
  job.recompute = in["recompute"].word(kRecomputeWords);
  if (const auto most = in.find("max_bad_steps")) job.max_bad_steps = most->integer<int>();
  if (const auto coef = in.find("router_z_loss_coef")) job.router_z_loss_coef = coef->real();
  job.seed = in["seed"].integer<std::uint64_t>();
  job.data_prefix = in["data_prefix"].string();
  if (const auto mix = in.find("data_mix"))
    for (const Field& source : mix->items())
      job.data_mix.push_back({source["prefix"].string(), source["weight"].real()});
  job.data_digest = in["data_digest"].string();
  if (const auto tokenizer = in.find("tokenizer")) job.tokenizer = tokenizer->string();
  if (const auto separate = in.find("separate_documents")) job.separate_documents = separate->boolean();
  job.steps = in["steps"].integer<std::int64_t>();
  if (const auto lengthens = in.find("lengthens")) job.lengthens = lengthens->boolean();
  if (const auto changes = in.find("changes_terms")) job.changes_terms = changes->boolean();
  if (const auto anew = in.find("schedule_ended_anew")) job.schedule_ended_anew = anew->boolean();
  if (const auto changed = in.find("terms_changed")) job.terms_changed = changed->boolean();
  job.microbatches = in["microbatches"].integer<int>();
  job.chains = in["chains"].integer<int>();
  job.sequences_per_microbatch = in["sequences_per_microbatch"].integer<int>();
  job.sequence_length = in["sequence_length"].integer<int>();
  job.optimizer = read_optimizer(in["optimizer"]);
  job.elastic = read_elastic(in["elastic"]);
  job.snapshots = read_snapshots(in["snapshots"]);
  if (const auto validation = in.find("validation")) job.validation = read_validation(*validation);
  if (const auto profile = in.find("profile"))
    job.profile = {(*profile)["from_step"].integer<std::int64_t>(), (*profile)["steps"].integer<int>()};
  job.heartbeat_ms = in["heartbeat_ms"].integer<int>();
  job.allow_mixed_fingerprints = in["allow_mixed_fingerprints"].boolean();
  return job;
}

Json to_value(const JobSpec& job) {
  const OptimizerSpec& optimizer = job.optimizer;
  Json all = {{"name", job.name},
              {"secret", job.secret},
              {"model", to_value(job.model)},
              {"initial_weights", job.initial_weights},
              {"initial_digest", job.initial_digest},
              {"precision", kPrecisionWords(job.precision)},
              {"recompute", kRecomputeWords(job.recompute)},
              {"seed", job.seed},
              {"data_prefix", job.data_prefix},
              {"data_digest", job.data_digest},
              {"steps", job.steps},
              {"microbatches", job.microbatches},
              {"chains", job.chains},
              {"sequences_per_microbatch", job.sequences_per_microbatch},
              {"sequence_length", job.sequence_length},
              {"optimizer",
               {{"learning_rate", optimizer.learning_rate},
                {"min_learning_rate", optimizer.min_learning_rate},
                {"beta1", optimizer.beta1},
                {"beta2", optimizer.beta2},
                {"epsilon", optimizer.epsilon},
                {"weight_decay", optimizer.weight_decay},
                {"clip_norm", optimizer.clip_norm},
                {"warmup_steps", optimizer.warmup_steps},
                {"schedule", kScheduleWords(optimizer.schedule)}}},
              {"elastic",
               {{"min_nodes", job.elastic.min_nodes},
                {"max_nodes", job.elastic.max_nodes},
                {"max_groups", job.elastic.max_groups},
                {"worker_memory_bytes", job.elastic.worker_memory_bytes}}},
              {"snapshots",
               {{"snapshot_every_steps", job.snapshots.snapshot_every_steps},
                {"checkpoint_every_steps", job.snapshots.checkpoint_every_steps},
                {"checkpoint_dir", job.snapshots.checkpoint_dir},
                {"keep_last", job.snapshots.keep_last}}},
              {"heartbeat_ms", job.heartbeat_ms},
              {"allow_mixed_fingerprints", job.allow_mixed_fingerprints}};
  // And what is absent where it says nothing.
  for (const DataSource& source : job.data_mix)
    all["data_mix"].push_back({{"prefix", source.prefix}, {"weight", source.weight}});
  for (const std::string& line : job.companions) all["companions"].push_back(line);
  if (!job.tokenizer.empty()) all["tokenizer"] = job.tokenizer;
  if (job.separate_documents) all["separate_documents"] = true;
  if (optimizer.decay_steps != 0) all["optimizer"]["decay_steps"] = optimizer.decay_steps;
  if (optimizer.schedule_steps != 0) all["optimizer"]["schedule_steps"] = optimizer.schedule_steps;
  if (job.lengthens) all["lengthens"] = true;
  if (job.changes_terms) all["changes_terms"] = true;
  if (job.schedule_ended_anew) all["schedule_ended_anew"] = true;
  if (job.terms_changed) all["terms_changed"] = true;
  if (job.validation.due_at_all()) {
    all["validation"] = {{"data_prefix", job.validation.data_prefix},
                         {"data_digest", job.validation.data_digest},
                         {"interval", job.validation.interval},
                         {"microbatches", job.validation.microbatches}};
  }
  if (job.elastic.load_gain != ElasticSpec{}.load_gain) all["elastic"]["load_gain"] = job.elastic.load_gain;
  if (job.max_bad_steps != JobSpec{}.max_bad_steps) all["max_bad_steps"] = job.max_bad_steps;
  if (job.router_z_loss_coef != 0) all["router_z_loss_coef"] = job.router_z_loss_coef;
  if (job.profile.steps > 0) all["profile"] = {{"from_step", job.profile.from_step}, {"steps", job.profile.steps}};
  return all;
}

std::string to_json(const JobSpec& job) { return json::dump(to_value(job)); }

std::vector<DataSource> data_sources(const JobSpec& job) {
  if (!job.data_mix.empty()) return job.data_mix;
  std::vector<DataSource> one(1);
  one.front().prefix = job.data_prefix;
  return one;
}

Result<JobSpec> job_from_json(const std::string& text) { return json::read_json(text, "job", read_job); }

}  // namespace regroup
