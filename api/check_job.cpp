#include "api/job_spec.hpp"
#include "base/fp32.hpp"
#include "base/hex.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace regroup {
namespace {

Error bad(const std::string& text) { return {Code::kBadInput, text}; }

bool is_name(const std::string& name) {
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), allowed);
}

// A plan names every unit (1 MiB at most), a vote every microbatch: what is far beyond is a slip, and would only be
// slow to fail.
constexpr std::int64_t kMaxUnits = 1 << 20;
constexpr int kMaxMicrobatches = 1 << 16;
constexpr std::int64_t kMaxSteps = 2'000'000'000;  // names of transfers have 31 bits for it

Result<void> check_optimizer(const OptimizerSpec& spec, std::int64_t end) {
  // Written so that NaN fails each of them.
  if (!(spec.learning_rate > 0)) return bad("optimizer.learning_rate must be above 0");
  if (!(spec.min_learning_rate >= 0 && spec.min_learning_rate <= spec.learning_rate)) {
    return bad("optimizer.min_learning_rate must be between 0 and learning_rate");
  }
  if (!(spec.beta1 >= 0 && spec.beta1 < 1)) return bad("optimizer.beta1 must be at least 0 and below 1");
  if (!(spec.beta2 >= 0 && spec.beta2 < 1)) return bad("optimizer.beta2 must be at least 0 and below 1");
  if (!(spec.epsilon > 0)) return bad("optimizer.epsilon must be above 0");
  if (!(spec.weight_decay >= 0)) return bad("optimizer.weight_decay must be at least 0");
  if (!(spec.clip_norm >= 0)) return bad("optimizer.clip_norm must be at least 0 (0 = no clipping)");
  for (const auto& [key, value] : {std::pair{"learning_rate", spec.learning_rate},
                                   {"min_learning_rate", spec.min_learning_rate},
                                   {"epsilon", spec.epsilon},
                                   {"weight_decay", spec.weight_decay},
                                   {"clip_norm", spec.clip_norm}})
    if (const std::string why = not_in_fp32(value); !why.empty())
      return bad(std::string("optimizer.") + key + " " + why);
  if (spec.schedule_steps < 0 || spec.schedule_steps > kMaxSteps)
    return bad("optimizer.schedule_steps must be between 1 and " + std::to_string(kMaxSteps) + ", not " +
               std::to_string(spec.schedule_steps));
  if (spec.schedule == ScheduleKind::kConstant && spec.schedule_steps != 0)
    return bad("optimizer.schedule_steps says where the schedule ends, and a constant one has no end: leave it out");
  const std::string end_text = spec.schedule_steps > 0 ? "schedule_steps" : "steps";
  if (spec.warmup_steps < 0 || spec.warmup_steps > end) {
    return bad("optimizer.warmup_steps (" + std::to_string(spec.warmup_steps) + ") must be between 0 and " + end_text +
               " (" + std::to_string(end) + ")");
  }
  if (spec.schedule != ScheduleKind::kWsd && spec.decay_steps != 0)
    return bad(
        "optimizer.decay_steps goes with schedule wsd alone: the others fall from the warm-up to the last step, or not "
        "at all");
  if (spec.schedule == ScheduleKind::kWsd && (spec.decay_steps < 1 || spec.decay_steps > end - spec.warmup_steps)) {
    return bad("optimizer.decay_steps (" + std::to_string(spec.decay_steps) +
               ") must be between 1 and the steps after the warm-up (" + std::to_string(end - spec.warmup_steps) + ")");
  }
  return {};
}

Result<void> check_elastic(const ElasticSpec& spec) {
  if (spec.min_nodes < 1) return bad("elastic.min_nodes must be at least 1, not " + std::to_string(spec.min_nodes));
  if (spec.max_nodes < spec.min_nodes) {
    return bad("elastic.max_nodes (" + std::to_string(spec.max_nodes) + ") is below elastic.min_nodes (" +
               std::to_string(spec.min_nodes) + ")");
  }
  if (spec.max_groups < 1) return bad("elastic.max_groups must be at least 1, not " + std::to_string(spec.max_groups));
  if (spec.worker_memory_bytes < 0)
    return bad("elastic.worker_memory_bytes must be at least 0 (0 = what the node says)");
  if (!(spec.load_gain >= 0) || !std::isfinite(spec.load_gain))
    return bad("elastic.load_gain must be at least 0 (0 = experts are placed by count alone)");
  return {};
}

Result<void> check_data(const JobSpec& job) {
  if (!job.data_prefix.empty() && job.data_prefix.front() != '/')
    return bad("data_prefix must be an absolute path, not '" + job.data_prefix + "'");
  if (!job.data_prefix.empty() && !job.data_mix.empty())
    return bad("data_prefix and data_mix are both given: name the sets in one of them");
  double sum = 0;
  for (const DataSource& source : job.data_mix) sum += source.weight;
  for (std::size_t i = 0; i < job.data_mix.size(); ++i) {
    const std::string name = "data_mix[" + std::to_string(i) + "]";
    const DataSource& source = job.data_mix[i];
    if (source.prefix.empty() || source.prefix.front() != '/')
      return bad(name + ".prefix must be an absolute path, not '" + source.prefix + "'");
    if (!(source.weight > 0) || !std::isfinite(source.weight)) return bad(name + ".weight must be a number above 0");
    if (source.weight / sum < 0x1p-16)
      return bad(name + ".weight is less than 1 / 65536 of all weights: no sample would come from " + source.prefix);
  }
  return {};
}

Result<void> check_validation(const ValidationSpec& spec) {
  if (!spec.due_at_all()) return {};
  if (spec.data_prefix.front() != '/')
    return bad("validation.data_prefix must be an absolute path, not '" + spec.data_prefix + "'");
  if (spec.interval < 1)
    return bad("validation.interval must be at least 1 step, not " + std::to_string(spec.interval));
  if (spec.microbatches < 1 || spec.microbatches > kMaxMicrobatches)
    return bad("validation.microbatches must be between 1 and " + std::to_string(kMaxMicrobatches) + ", not " +
               std::to_string(spec.microbatches));
  return {};
}

Result<void> check_snapshots(const SnapshotSpec& spec) {
  if (spec.snapshot_every_steps < 0) return bad("snapshots.snapshot_every_steps must be at least 0 (0 = never)");
  if (spec.checkpoint_every_steps < 0)
    return bad("snapshots.checkpoint_every_steps must be at least 0 (0 = only at the end)");
  if (!spec.checkpoint_dir.empty() && spec.checkpoint_dir.front() != '/') {
    return bad("snapshots.checkpoint_dir must be an absolute path, not '" + spec.checkpoint_dir + "'");
  }
  if (spec.checkpoint_every_steps > 0 && spec.checkpoint_dir.empty()) {
    return bad("snapshots.checkpoint_every_steps is set but snapshots.checkpoint_dir is not: say where checkpoints go");
  }
  if (spec.keep_last < 1) return bad("snapshots.keep_last must be at least 1, not " + std::to_string(spec.keep_last));
  return {};
}

}  // namespace

Result<void> check_job(const JobSpec& job) {
  if (!is_name(job.name)) return bad("name must be 1 to 63 of a-z, 0-9 and '-', not '" + job.name + "'");
  if (!is_hex(job.secret)) return bad("secret must be hexadecimal");
  if (auto shape = check_shape(job.model); !shape) return shape.error().within("model");
  if (static_cast<double>(job.model.num_hidden_layers) * static_cast<double>(job.model.num_local_experts) *
          static_cast<double>(job.model.expert_slices) >
      static_cast<double>(kMaxUnits))
    return bad("model: num_hidden_layers x num_local_experts x expert_slices must be at most " +
               std::to_string(kMaxUnits));
  if (!job.initial_weights.empty() && job.initial_weights.front() != '/')
    return bad("initial_weights must be an absolute path, not '" + job.initial_weights + "'");
  if (!is_hex(job.initial_digest)) return bad("initial_digest must be hexadecimal");
  if (job.max_bad_steps < 1) return bad("max_bad_steps must be at least 1, not " + std::to_string(job.max_bad_steps));
  if (!(job.router_z_loss_coef >= 0))
    return bad("router_z_loss_coef must be at least 0 (0 = no such loss); 0.001 is usual");
  if (const std::string why = not_in_fp32(job.router_z_loss_coef); !why.empty())
    return bad("router_z_loss_coef " + why);
  if (auto good = check_data(job); !good) return good;
  if (job.steps < 1 || job.steps > kMaxSteps)
    return bad("steps must be between 1 and " + std::to_string(kMaxSteps) + ", not " + std::to_string(job.steps));
  if (job.microbatches < 1 || job.microbatches > kMaxMicrobatches)
    return bad("microbatches must be between 1 and " + std::to_string(kMaxMicrobatches) + ", not " +
               std::to_string(job.microbatches));
  if (job.chains < 1 || (job.chains & (job.chains - 1)) != 0)
    return bad("chains must be a power of two, not " + std::to_string(job.chains));
  if (job.microbatches % job.chains != 0) {
    return bad("chains (" + std::to_string(job.chains) + ") must divide microbatches (" +
               std::to_string(job.microbatches) + ")");
  }
  if (job.sequences_per_microbatch < 1)
    return bad("sequences_per_microbatch must be at least 1, not " + std::to_string(job.sequences_per_microbatch));
  if (job.sequence_length < 1 || job.sequence_length > job.model.max_position_embeddings) {
    return bad("sequence_length (" + std::to_string(job.sequence_length) +
               ") must be between 1 and model.max_position_embeddings (" +
               std::to_string(job.model.max_position_embeddings) + ")");
  }
  if (auto good = check_optimizer(job.optimizer, schedule_end(job)); !good) return good;
  if (auto good = check_elastic(job.elastic); !good) return good;
  if (job.elastic.max_groups > job.chains) {
    return bad("elastic.max_groups (" + std::to_string(job.elastic.max_groups) + ") is above chains (" +
               std::to_string(job.chains) + "): every group computes at least one chain");
  }
  if (auto good = check_snapshots(job.snapshots); !good) return good;
  if (auto good = check_validation(job.validation); !good) return good;
  if (job.profile.steps < 0 || job.profile.steps > 1000)
    return bad("profile.steps must be between 0 and 1000, not " + std::to_string(job.profile.steps));
  if (job.profile.steps > 0 && (job.profile.from_step < 1 || job.profile.from_step > job.steps))
    return bad("profile.from_step (" + std::to_string(job.profile.from_step) + ") must be between 1 and steps (" +
               std::to_string(job.steps) + ")");
  if (job.heartbeat_ms < 10 || job.heartbeat_ms > 60000) {
    return bad("heartbeat_ms must be between 10 and 60000, not " + std::to_string(job.heartbeat_ms));
  }
  return {};
}

}  // namespace regroup
