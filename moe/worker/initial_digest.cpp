#include "moe/worker/initial_digest.hpp"

#include "moe/state/interrupt.hpp"

namespace regroup {

void check_initial_weights(StepRunner& runner, const JobSpec& job) {
  if (job.initial_weights.empty() || job.initial_digest.empty()) return;
  // Transfers of the digest are named by a step; none of the job's comes this late.
  const std::string digest = runner.weights_digest(Step(job.steps + 1));
  if (digest == job.initial_digest) return;
  throw Interrupted{{Code::kBadInput, "the weights in " + job.initial_weights +
                                          " are not those that the job was submitted with (digest " + digest +
                                          ", expected " + job.initial_digest +
                                          "): give every node the same directory"}};
}

}  // namespace regroup
