// cluster.hpp: a whole job inside one test process: ranks are threads, each with a mesh of its own over Unix sockets.
#pragma once

#include "moe/regroup/regroup.hpp"
#include "moe/step/step.hpp"
#include "tests/support/placement.hpp"

#include <memory>
#include <string>
#include <vector>

namespace regroup::testing {

// A job of the size at which a step takes milliseconds.
JobSpec training_job(const std::string& data_prefix);
// Writes deterministic tokens as PREFIX.bin/.idx: one document, or many of 1 to `longest` tokens.
void write_data(const std::string& prefix, int vocab_size, int longest = 0);

class Cluster {
 public:
  // `workers` processes' worth of threads; worker i keeps its state from epoch to epoch.
  Cluster(JobSpec job, int workers, std::string directory);
  ~Cluster();

  // Regroups the workers in `members` (their numbers, in order of rank) and trains until step `until` is committed by
  // all. Workers that leave are donors if `donors` names them. Returns the weights digest.
  std::string train(const Placement& placement, const std::vector<int>& members, std::int64_t until,
                    const std::vector<int>& donors = {});
  // From now on workers write traces, DIR/<worker>.json.
  void trace_into(const std::string& directory);
  // Forgets a worker's state, as a death does.
  void lose(int worker);
  [[nodiscard]] const std::vector<double>& losses() const { return losses_; }
  [[nodiscard]] const std::vector<StateSource>& sources() const { return sources_; }  // of each regroup
  [[nodiscard]] const ShardStore& store(int worker) const;
  [[nodiscard]] const BadSteps& bad(int worker) const;
  [[nodiscard]] const std::vector<ValidationRecord>& validations() const {
    return validations_;
  }  // as rank 0 computed them or heard of them
  // That worker dies in the validation after `step`, between two operators; train() then ends with what the others say,
  // and goes without it from then on.
  void die_in_validation(int worker, std::int64_t step, int after_operators);
  [[nodiscard]] std::int64_t bytes_moved() const { return bytes_moved_; }  // in the last regroup

 private:
  struct Node;
  JobConstants job_;
  std::string directory_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::uint64_t epoch_ = 0;
  std::vector<double> losses_;
  std::vector<ValidationRecord> validations_;
  std::vector<StateSource> sources_;
  std::int64_t bytes_moved_ = 0;
};

}  // namespace regroup::testing
