// submit.hpp: a job goes into etcd: its data is checked and pinned, its secret made, its name taken.
#pragma once

#include "api/job_spec.hpp"
#include "api/keys.hpp"
#include "base/result.hpp"
#include "store/store.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace regroup::cli {

// Reads all of the job's data, checks it, and fills data_digest. kNotFound, kBadInput, kCorrupt.
Result<void> pin_data(JobSpec& job);

// kBadInput, naming path and reason: checkpoints cannot be written to the job's directory, found out by writing. Where
// neither it nor the directory above is there, it is one that only the nodes see, and they find out.
Result<void> check_storage(const JobSpec& job);

// Reads all of the job's initial weights, if it has any: every tensor of the model, of its shape, every value finite.
// Fills initial_digest. Errors as ForeignWeights says.
Result<void> pin_weights(JobSpec& job, const std::function<bool(std::int64_t done, std::int64_t total)>& progress = {});

// What a job may have changed when it goes on: the options of those names.
struct Leave {
  bool extend = false;       // more steps
  bool other_terms = false;  // another optimizer, other data
};

// The checkpoint that the job goes on from must be one of it: of the same seed, data, start weights, batch, optimizer
// and schedule, but for what is left to change. Returns what cannot be said of it, one sentence each. kBadInput: it is
// of another job, and every node would wait. kNotFound: there is nothing to go on from with a leave; else a directory
// that this machine does not see is no fault. After pin_data and pin_weights.
Result<std::vector<std::string>> settle_checkpoint(JobSpec& job, const Leave& leave);

// 32 random bytes as hex.
std::string make_secret();

enum class Submitted {
  kNew,
  kGoesOn,
  kBeginsAnew,  // it ended before a checkpoint was written: nothing of it was left
};

// kLocal: the caller starts the cluster afterwards, so nothing of the job runs while it is submitted.
enum class SubmitWhere { kCluster, kLocal };

// Creates the job's spec. A job of that name: kConflict, unless it is the same job in all that determines its weights,
// nothing of it runs, and it was stopped, could not save its last step, is local, or finished and is lengthened, or
// failed and changes its terms. Then it goes on from its newest checkpoint, or begins anew where none was written.
Result<Submitted> submit(Store& store, const Keys& keys, JobSpec job, SubmitWhere where);

}  // namespace regroup::cli
