// submit.hpp: a job goes into etcd: its data is checked and pinned, its secret made, its name taken.
#pragma once

#include "api/job_spec.hpp"
#include "api/keys.hpp"
#include "base/result.hpp"
#include "store/store.hpp"

#include <cstdint>
#include <functional>

namespace regroup::cli {

// Reads all of the job's data, checks it, and fills data_digest. kNotFound, kBadInput, kCorrupt.
Result<void> pin_data(JobSpec& job);

// kBadInput, kCorrupt: the job's directory holds checkpoints that it cannot go on from, and every node would wait. One
// that this machine does not see is no fault. After pin_data.
Result<void> check_checkpoints(const JobSpec& job);

// Reads all of the job's initial weights, if it has any: every tensor of the model, of its shape, every value finite.
// Fills initial_digest. Errors as ForeignWeights says.
Result<void> pin_weights(JobSpec& job, const std::function<bool(std::int64_t done, std::int64_t total)>& progress = {});

// 32 random bytes as hex.
std::string make_secret();

enum class Submitted { kNew, kGoesOn };

// kLocal: the caller starts the cluster afterwards, so nothing of the job runs while it is submitted.
enum class SubmitWhere { kCluster, kLocal };

// Creates the job's spec. A job of that name: kConflict, unless it is the same job (but for the secret) and was
// stopped, having written a checkpoint, or local and not over: kGoesOn.
Result<Submitted> submit(Store& store, const Keys& keys, JobSpec job, SubmitWhere where);

}  // namespace regroup::cli
