// submit.hpp: a job goes into etcd: its data is checked and pinned, its secret made, its name taken.
#pragma once

#include "base/result.hpp"
#include "coordinator/api/job_spec.hpp"
#include "coordinator/api/keys.hpp"
#include "coordinator/api/store.hpp"

namespace regroup {

// Reads all of the job's data, checks it, and fills data_digest. kNotFound, kBadInput, kCorrupt.
Result<void> pin_data(JobSpec& job);

// kBadInput, kCorrupt: the job's directory holds checkpoints that it cannot go on from, and every node would wait. One that this machine does not see is no fault. After pin_data.
Result<void> check_checkpoints(const JobSpec& job);

// 32 random bytes as hex.
std::string make_secret();

enum class Submitted { kNew, kGoesOn };

// Creates the job's spec. A job of that name: kConflict, unless `may_go_on` and it is the same job (but for the secret) and not over: kGoesOn.
Result<Submitted> submit(Store& store, const Keys& keys, JobSpec job, bool may_go_on);

}  // namespace regroup
