// job_files.hpp: the files of a job that every node has for itself, or writes to: looked at before the worker is ready,
// so that a node on which they are wrong is refused by name.
#pragma once

#include "api/worker_protocol.hpp"
#include "base/result.hpp"

namespace regroup {

// kBadInput, naming node and path. Checkpoints can be written to the job's directory (not asked again where
// `storage_proven`), what lies beside the initial weights is what the job was submitted with, and where
// `weights_doubted` so are the weights, all of which are read then.
Result<void> check_files(const Welcome& welcome);

}  // namespace regroup
