// job_spec.hpp: one training run as data. Written by `regroup submit|local` from the user's YAML, kept in etcd as JSON,
// read by all. Frozen once submitted.
#pragma once

#include "api/source.hpp"
#include "base/result.hpp"
#include "base/words.hpp"
#include "layout/compute_form.hpp"
#include "layout/model_shape.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace regroup {

// What a layer's forward keeps for its backward; the rest is made again, with the same bits. kExperts: all but the
// experts' inner products; kFull: its input alone.
enum class Recompute { kNone, kExperts, kFull };
inline constexpr Words<Recompute, 3> kRecomputeWords{{"none", "experts", "full"}};

// After the warm-up: kept, linear or half a cosine down to min_learning_rate at the schedule's end, or kept and then
// linear down to it over the decay_steps before that.
enum class ScheduleKind { kConstant, kLinear, kCosine, kWsd };
inline constexpr Words<ScheduleKind, 4> kScheduleWords{{"constant", "linear", "cosine", "wsd"}};

struct OptimizerSpec {
  double learning_rate = 3e-4;
  double min_learning_rate = 0.0;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;
  double clip_norm = 1.0;  // 0 = no clipping
  int warmup_steps = 0;
  ScheduleKind schedule = ScheduleKind::kCosine;
  int decay_steps = 0;              // of kWsd alone
  std::int64_t schedule_steps = 0;  // where the schedule ends; 0 = with the last step
  friend bool operator==(const OptimizerSpec&, const OptimizerSpec&) = default;
};

struct ElasticSpec {
  int min_nodes = 1;
  int max_nodes = 1024;
  int max_groups = 2;
  std::int64_t worker_memory_bytes = 0;  // 0 = what the node's record says
  // Experts change places when that lowers the heaviest rank's load by at least this fraction of the mean rank's load;
  // 0: never.
  double load_gain = 0.05;
  friend bool operator==(const ElasticSpec&, const ElasticSpec&) = default;
};

struct SnapshotSpec {
  int snapshot_every_steps = 1;    // 0 = never; into the agent's memory and to a buddy
  int checkpoint_every_steps = 0;  // 0 = only at the end
  std::string checkpoint_dir;      // absolute; empty = no durable checkpoints
  int keep_last = 3;
  friend bool operator==(const SnapshotSpec&, const SnapshotSpec&) = default;
};

// The loss on a set that is not trained on.
struct ValidationSpec {
  std::string data_prefix;    // absolute path of PREFIX.bin / PREFIX.idx; empty = no validation
  std::string data_digest;    // pinned at submit
  std::int64_t interval = 0;  // after every step that it divides, and after the last one
  int microbatches = 0;       // the first so many of the set, of the job's size: the same ones each time
  [[nodiscard]] bool due_at_all() const { return !data_prefix.empty(); }
  [[nodiscard]] bool due(std::int64_t step, std::int64_t steps) const {
    return due_at_all() && step > 0 && (step % interval == 0 || step == steps);
  }
  friend bool operator==(const ValidationSpec&, const ValidationSpec&) = default;
};

// Each worker writes a trace of steps [from_step, from_step + steps) into its agent's directory. No part of what is
// computed.
struct ProfileSpec {
  std::int64_t from_step = 3;
  int steps = 0;  // 0 = none
  friend bool operator==(const ProfileSpec&, const ProfileSpec&) = default;
};

inline constexpr const char* kNoTokenizer = "none";

struct JobSpec {
  std::string name;    // [a-z0-9-]{1,63}
  std::string secret;  // hex, made at submit; peers of one job prove it to each other
  ModelShape model;
  // absolute path of a Hugging Face directory, the same on every node; empty = random initial weights
  std::string initial_weights;
  std::string initial_digest;           // of those weights: their weights digest (docs/design.md); pinned at submit
  std::vector<std::string> companions;  // checkpoint::companion_sums of that directory; pinned at submit
  // What lies beside a checkpoint's weights: "" = the tokenizer of initial_weights; kNoTokenizer; else the absolute
  // path of the SentencePiece file that the data were made with. Pinned at submit.
  std::string tokenizer;
  // of weights and activations in products; master weights, moments and sums are fp32 in either
  Precision precision = Precision::kFp32;
  Recompute recompute = Recompute::kNone;
  int max_bad_steps = 10;         // so many steps in a row whose gradients are not finite, and the job has failed
  double router_z_loss_coef = 0;  // of the routers' z-loss; 0 = none
  std::uint64_t seed = 0;
  std::string data_prefix;           // absolute path of PREFIX.bin / PREFIX.idx
  std::vector<DataSource> data_mix;  // two or more sets mixed by weights, instead of data_prefix
  std::string data_digest;           // Dataset::digest, pinned at submit
  // attention stays within a document, as Dataset::document_starts cuts them; positions and targets do not
  bool separate_documents = false;
  std::int64_t steps = 0;
  bool lengthens = false;      // it may have more steps than the job of its checkpoint had
  bool changes_terms = false;  // its optimizer and its data may be others than that job had
  // that job's learning rates were others than this one's: its weights are not those of this job from the start
  bool schedule_ended_anew = false;
  bool terms_changed = false;  // and here, its optimizer or its data were others
  int microbatches = 0;        // M
  int chains = 0;              // C: a power of two that divides M, at least max_groups
  int sequences_per_microbatch = 0;
  int sequence_length = 0;
  OptimizerSpec optimizer;
  ElasticSpec elastic;
  SnapshotSpec snapshots;
  ValidationSpec validation;
  ProfileSpec profile;
  int heartbeat_ms = 200;  // h: every other deadline is derived from it
  bool allow_mixed_fingerprints = false;
  friend bool operator==(const JobSpec&, const JobSpec&) = default;
};

// The step from which the learning rate falls no more, where it falls.
inline std::int64_t schedule_end(const JobSpec& job) {
  return job.optimizer.schedule_steps > 0 ? job.optimizer.schedule_steps : job.steps;
}

// What Dataset::open takes: data_mix, or data_prefix alone.
std::vector<DataSource> data_sources(const JobSpec& job);

// kBadInput, naming the key and the contradiction.
Result<void> check_job(const JobSpec& job);

std::string to_json(const JobSpec& job);
Result<JobSpec> job_from_json(const std::string& text);

}  // namespace regroup
