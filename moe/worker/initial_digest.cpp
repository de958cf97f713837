#include "moe/worker/initial_digest.hpp"

#include "moe/regroup/initial_weights.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/state/tags.hpp"

#include <algorithm>

namespace regroup {

void check_initial_weights(StepRunner& runner, const EpochView& view, mesh::Mesh& mesh) {
  const JobSpec& job = view.job->spec;
  if (job.initial_weights.empty() || job.initial_digest.empty()) return;
  // Transfers of the digest are named by a step; none of the job's comes this late.
  const Step name(job.steps + 1);
  const std::vector<std::string> digests = runner.weights_digest(name);
  if (std::all_of(digests.begin(), digests.end(), [&](const auto& one) { return one == job.initial_digest; })) return;

  // A group says only that some of its members read something else. Each of them looks at its own directory.
  std::string mine;
  if (view.group_index >= 0 && digests[static_cast<std::size_t>(view.group_index)] != job.initial_digest)
    mine = why_other_weights(job, view.plan.members[static_cast<std::size_t>(view.self.value)].worker.node);
  std::string theirs;
  for (const auto& said :
       must(all_gather_v(mesh, view.member_ranks(), make_tag(Step(name.value + 1), TransferOp::kGroupDigest, 1),
                         std::as_bytes(std::span(mine.data(), mine.size())))))
    theirs += (theirs.empty() || said.empty() ? "" : "; ") +
              std::string(reinterpret_cast<const char*>(said.data()), said.size());
  if (!mine.empty()) throw WrongFiles{{{Code::kBadInput, mine}}};
  if (!theirs.empty()) throw Interrupted{{Code::kUnavailable, theirs}};
  throw Interrupted{{Code::kInternal, "the weights that were read from " + job.initial_weights +
                                          " are not those that the job was submitted with, though every node's "
                                          "directory is right: a machine reads or keeps them wrongly"}};
}

}  // namespace regroup
