// What a job reads by path is checked and pinned by its digest, before it is submitted (submit.hpp).
#include "checkpoint/io/companions.hpp"
#include "checkpoint/io/foreign_weights.hpp"
#include "checkpoint/io/writable.hpp"
#include "cli/job/submit.hpp"
#include "moe/data/dataset.hpp"

#include <filesystem>

namespace regroup::cli {

namespace {

Result<void> check_held_out(const JobSpec& job, const ValidationSpec& validation) {
  for (const DataSource& source : data_sources(job)) {
    const auto set = Dataset::open(source.prefix, job.model.vocab_size, job.sequence_length, job.seed);
    if (set && (*set)->digest() == validation.data_digest)
      return Error{Code::kBadInput, "validation: " + validation.data_prefix + " is trained on, as " + source.prefix +
                                        ": name a set that is held out"};
  }
  return {};
}

Result<void> pin_validation(JobSpec& job, const Dataset& trained) {
  ValidationSpec& validation = job.validation;
  if (!validation.due_at_all()) return {};
  auto data = Dataset::open(validation.data_prefix, job.model.vocab_size, job.sequence_length, job.seed);
  if (!data) return data.error().within("validation");
  if (auto good = (*data)->verify(); !good) return good.error().within("validation");
  const std::int64_t wanted = static_cast<std::int64_t>(validation.microbatches) * job.sequences_per_microbatch;
  if ((*data)->num_sequences() < wanted) {
    return Error{Code::kBadInput, "validation: " + validation.data_prefix + " holds " +
                                      std::to_string((*data)->num_sequences()) + " sequences of " +
                                      std::to_string(job.sequence_length) + " tokens; validation.microbatches " +
                                      std::to_string(validation.microbatches) + " x sequences_per_microbatch " +
                                      std::to_string(job.sequences_per_microbatch) + " needs " +
                                      std::to_string(wanted) + ": take fewer microbatches or a larger set"};
  }
  if (auto same = check_same_tokenizer(validation.data_prefix, **data, "the training data", trained); !same)
    return same.error().within("validation");
  validation.data_digest = (*data)->digest();
  if (auto held_out = check_held_out(job, validation); !held_out) return held_out;
  return {};
}

}  // namespace

Result<void> pin_data(JobSpec& job) {
  const std::string validation_index = job.validation.data_prefix + ".idx";
  if (job.validation.due_at_all() && !std::filesystem::exists(validation_index))
    return Error{Code::kNotFound, "validation.data: there is no " + validation_index +
                                      ": name a set, or prepare the data with --validation SHARE"};
  auto data = Dataset::open(data_sources(job), job.model.vocab_size, job.sequence_length, job.seed);
  if (!data) return data.error();
  if (auto good = (*data)->verify(); !good) return good;
  job.data_digest = (*data)->digest();
  return pin_validation(job, **data);
}

Result<void> check_storage(const JobSpec& job) {
  const std::filesystem::path directory = job.snapshots.checkpoint_dir;
  std::error_code ignored;
  if (directory.empty() || !std::filesystem::exists(directory.parent_path(), ignored)) return {};
  const auto writable = checkpoint::prove_writable(directory);
  return writable ? writable : Error{Code::kBadInput, "snapshots.dir: " + writable.error().context};
}

Result<void> pin_weights(JobSpec& job, const std::function<bool(std::int64_t, std::int64_t)>& progress) {
  if (job.initial_weights.empty()) return {};
  auto weights = checkpoint::ForeignWeights::open(job.initial_weights, job.model);
  if (!weights) return weights.error();
  auto digest = (*weights)->digest(progress);
  if (!digest) return digest.error();
  job.initial_digest = *digest;
  auto companions = checkpoint::companion_sums(job.initial_weights);
  if (!companions) return companions.error();
  job.companions = *companions;
  return {};
}

}  // namespace regroup::cli
