#include "cli/job/job_file.hpp"

#include "cli/job/beside_file.hpp"
#include "cli/job/data_section.hpp"
#include "cli/job/model_section.hpp"
#include "cli/job/yaml_section.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

namespace regroup::cli {
namespace {

namespace fs = std::filesystem;

// A job that is cut short keeps the shape of its schedule as far as its steps go.
void shorten_schedule(std::int64_t steps, OptimizerSpec& optimizer) {
  const bool wsd = optimizer.schedule == ScheduleKind::kWsd;
  optimizer.warmup_steps = static_cast<int>(std::min<std::int64_t>(optimizer.warmup_steps, wsd ? steps - 1 : steps));
  if (wsd)
    optimizer.decay_steps =
        static_cast<int>(std::min<std::int64_t>(optimizer.decay_steps, steps - optimizer.warmup_steps));
}

void read_optimizer(YamlSection section, std::int64_t steps, OptimizerSpec& optimizer) {
  section.read("learning_rate", optimizer.learning_rate);
  section.read("min_learning_rate", optimizer.min_learning_rate);
  section.read("beta1", optimizer.beta1);
  section.read("beta2", optimizer.beta2);
  section.read("epsilon", optimizer.epsilon);
  section.read("weight_decay", optimizer.weight_decay);
  section.read("clip_norm", optimizer.clip_norm);
  section.read("warmup_steps", optimizer.warmup_steps);
  section.read("schedule_steps", optimizer.schedule_steps);
  if (optimizer.schedule_steps > 0) steps = optimizer.schedule_steps;
  section.read_word("schedule", kScheduleWords, optimizer.schedule);
  if (optimizer.schedule == ScheduleKind::kWsd)
    optimizer.decay_steps = static_cast<int>(std::max<std::int64_t>(1, steps / 10));
  section.read("decay_steps", optimizer.decay_steps);
  section.refuse_unknown();
}

void read_elastic(YamlSection section, ElasticSpec& elastic) {
  section.read("min_nodes", elastic.min_nodes);
  section.read("max_nodes", elastic.max_nodes);
  section.read("max_groups", elastic.max_groups);
  section.read_bytes("worker_memory", elastic.worker_memory_bytes);
  if (section.find("worker_memory") && elastic.worker_memory_bytes == 0)
    section.refuse("worker_memory", "is 0, with which nothing can be planned; leave it out for what the node says");
  section.read("load_gain", elastic.load_gain);
  section.refuse_unknown();
}

void read_snapshots(YamlSection section, const fs::path& job_file, SnapshotSpec& snapshots) {
  section.read("every_steps", snapshots.snapshot_every_steps);
  section.read("checkpoint_every_steps", snapshots.checkpoint_every_steps);
  section.read("dir", snapshots.checkpoint_dir);
  if (section.find("dir") && snapshots.checkpoint_dir.empty())
    section.refuse("dir", "is empty: name a directory, or leave the key out");
  if (!snapshots.checkpoint_dir.empty()) snapshots.checkpoint_dir = absolute_from(job_file, snapshots.checkpoint_dir);
  section.read("keep_last", snapshots.keep_last);
  section.refuse_unknown();
}

void read_validation(YamlSection& root, const fs::path& job_file, JobSpec& job) {
  if (!root.find("validation")) return;
  YamlSection section = root.section("validation");
  ValidationSpec& validation = job.validation;
  section.read("data", validation.data_prefix);
  if (!validation.data_prefix.empty()) {
    validation.data_prefix = absolute_from(job_file, validation.data_prefix);
  } else {
    if (job.data_prefix.empty()) section.refuse("data", "is missing: with a mix of data there is no set beside it");
    validation.data_prefix = job.data_prefix + "-validation";
  }
  section.require("interval", validation.interval);
  validation.microbatches = job.microbatches;
  section.read("microbatches", validation.microbatches);
  section.refuse_unknown();
}

// 4 x the largest number of groups, at most M; a power of two that divides M.
int default_chains(int microbatches, int max_groups) {
  int chains = 1;
  while (chains * 2 <= 4 * max_groups && microbatches % (chains * 2) == 0) chains *= 2;
  return chains;
}

// Each group computes at least one chain, so few chains allow few groups.
void read_groups_and_chains(YamlSection& root, JobSpec& job) {
  YamlSection elastic = root.section("elastic");
  const bool says_groups = elastic.find("max_groups").has_value();
  job.chains = default_chains(job.microbatches, job.elastic.max_groups);
  root.read("chains", job.chains);
  if (!says_groups && job.chains > 0) job.elastic.max_groups = std::min(job.elastic.max_groups, job.chains);
  if (says_groups && !root.find("chains") && job.microbatches > 0 && job.elastic.max_groups > job.chains)
    elastic.refuse("max_groups", "is " + std::to_string(job.elastic.max_groups) + ", but microbatches (" +
                                     std::to_string(job.microbatches) + ") can be cut for " +
                                     std::to_string(job.chains) +
                                     " at most: the largest power of two that divides them");
}

// ":LINE" of the key that a sentence of check_job begins with: "model: vocab_size must ...", "optimizer.decay_steps (3)
// must ..."; "" for one that the file leaves out.
std::string line_of(YAML::Node node, const std::string& sentence) {
  std::string line, path = sentence;
  if (path.starts_with("model: ")) path.replace(0, 7, "model.");
  path = path.substr(0, path.find_first_of(" (:["));
  for (std::size_t at = 0; at <= path.size() && node.IsMap();) {
    const std::string key = path.substr(at, path.find('.', at) - at);
    at += key.size() + 1;
    YAML::Node inner;
    line.clear();
    for (const auto& entry : node)
      if (entry.first.Scalar() == key) {
        line = ":" + std::to_string(entry.first.Mark().line + 1);
        inner = entry.second;
      }
    node.reset(inner);
  }
  return line;
}

// check_job names the fields of JobSpec.
std::string in_words_of_the_file(std::string text) {
  for (const auto& [field, key] : {std::pair<std::string, std::string>{"snapshots.checkpoint_dir", "snapshots.dir"},
                                   {"snapshots.snapshot_every_steps", "snapshots.every_steps"},
                                   {"elastic.worker_memory_bytes", "elastic.worker_memory"},
                                   {"validation.data_prefix", "validation.data"},
                                   {"data_prefix", "data"},
                                   {"data_mix", "data"}}) {
    for (auto at = text.find(field); at != std::string::npos; at = text.find(field, at + key.size()))
      text.replace(at, field.size(), key);
  }
  return text;
}

JobFile read_job(const std::string& path, const YAML::Node& yaml, const std::string& default_checkpoint_dir,
                 std::int64_t steps) {
  JobFile file;
  JobSpec& job = file.job;
  YamlSection root(path, "", yaml);
  root.require("name", job.name);
  ModelSection model = read_model(root, path);
  job.model = model.shape;
  job.initial_weights = model.initial_weights;
  file.notes = std::move(model.notes);
  root.read_word("precision", kPrecisionWords, job.precision);
  root.read_word("recompute", kRecomputeWords, job.recompute);
  root.read("max_bad_steps", job.max_bad_steps);
  root.read("router_z_loss_coef", job.router_z_loss_coef);
  root.read("seed", job.seed);
  for (std::string& note : read_data(root, path, job)) file.notes.push_back(std::move(note));
  root.read("separate_documents", job.separate_documents);
  root.require("steps", job.steps);
  if (steps > 0) job.steps = steps;
  root.require("microbatches", job.microbatches);
  root.require("sequences_per_microbatch", job.sequences_per_microbatch);
  root.require("sequence_length", job.sequence_length);
  read_optimizer(root.section("optimizer"), job.steps, job.optimizer);
  if (steps > 0 && job.optimizer.schedule_steps == 0) shorten_schedule(steps, job.optimizer);
  read_elastic(root.section("elastic"), job.elastic);
  read_snapshots(root.section("snapshots"), path, job.snapshots);
  read_validation(root, path, job);
  read_groups_and_chains(root, job);
  root.read("heartbeat_ms", job.heartbeat_ms);
  root.read("allow_mixed_fingerprints", job.allow_mixed_fingerprints);
  root.refuse_unknown();
  if (job.model.max_position_embeddings == 0) job.model.max_position_embeddings = job.sequence_length;
  if (job.snapshots.checkpoint_dir.empty()) job.snapshots.checkpoint_dir = default_checkpoint_dir;
  if (auto checked = check_job(job); !checked) {
    const std::string sentence = in_words_of_the_file(checked.error().context);
    throw Refused{path + line_of(yaml, sentence) + ": " + sentence};
  }
  const std::int64_t end = schedule_end(job);
  if (job.optimizer.schedule != ScheduleKind::kConstant && job.steps > end && job.optimizer.min_learning_rate == 0)
    file.notes.push_back("behind step " + std::to_string(end) + " (optimizer.schedule_steps) the learning rate is 0 " +
                         "(min_learning_rate): the steps up to " + std::to_string(job.steps) + " train nothing");
  return file;
}

}  // namespace

Result<JobFile> load_job(const std::string& path, const std::string& default_checkpoint_dir, std::int64_t steps) {
  return read_yaml<JobFile>(
      path, [&](const YAML::Node& yaml) { return read_job(path, yaml, default_checkpoint_dir, steps); });
}

}  // namespace regroup::cli
