#include "moe/worker/job_files.hpp"

#include "checkpoint/io/companions.hpp"
#include "checkpoint/io/writable.hpp"
#include "moe/regroup/initial_weights.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

namespace regroup {
namespace {

// The names in the lines that one list has and the other has not.
std::string differing(const std::vector<std::string>& here, const std::vector<std::string>& wanted) {
  std::vector<std::string> lines;
  std::set_symmetric_difference(here.begin(), here.end(), wanted.begin(), wanted.end(), std::back_inserter(lines));
  std::string names, last;
  for (const std::string& line : lines) {
    const std::string name = line.substr(0, line.find(' '));
    if (name != last) names += (names.empty() ? "" : ", ") + name;
    last = name;
  }
  return names;
}

}  // namespace

Result<void> check_files(const Welcome& welcome) {
  const JobSpec& job = welcome.job;
  const std::string& node = welcome.self.node.value;
  if (!job.snapshots.checkpoint_dir.empty() && !welcome.storage_proven)
    if (auto writable = checkpoint::prove_writable(job.snapshots.checkpoint_dir); !writable)
      return Error{Code::kBadInput, "snapshots.dir on node " + node + ": " + writable.error().context};
  if (job.initial_weights.empty()) return {};
  if (!job.companions.empty()) {
    auto here = checkpoint::companion_sums(job.initial_weights);
    if (!here) return Error{Code::kBadInput, "on node " + node + ": " + here.error().context};
    if (const std::string names = differing(*here, job.companions); !names.empty())
      return Error{Code::kBadInput, "the files beside the weights in " + job.initial_weights + " on node " + node +
                                        " are not those that the job was submitted with (" + names +
                                        "): give every node the same directory"};
  }
  if (welcome.weights_doubted && !job.initial_digest.empty())
    if (const std::string why = why_other_weights(job, welcome.self.node); !why.empty())
      return Error{Code::kBadInput, why};
  return {};
}

}  // namespace regroup
