// running_job.hpp: one endless job on a local cluster (real etcd, coordinators, agents, workers), watched through its
// agents' journals. Ends with this object; main's thread only.
#pragma once

#include "api/job_spec.hpp"
#include "api/keys.hpp"
#include "api/plan.hpp"
#include "bench/recovery/timeline.hpp"
#include "cli/local/cluster.hpp"
#include "cli/local/run_record.hpp"
#include "store/store.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace regroup::bench {

extern volatile int interrupted;  // set by a signal; every wait below ends with it

struct RunningJobOptions {
  JobSpec job;      // data pinned
  std::string dir;  // absolute, exists, empty
  std::string programs;
  int nodes = 4;
  int coordinators = 2;
};

class RunningJob {
 public:
  static Result<std::unique_ptr<RunningJob>> start(const RunningJobOptions& options);
  ~RunningJob();
  RunningJob(const RunningJob&) = delete;
  RunningJob& operator=(const RunningJob&) = delete;

  cli::Cluster& cluster() { return *cluster_; }
  [[nodiscard]] const Timeline& timeline() const { return timeline_; }
  [[nodiscard]] const cli::RunRecord& record() const { return record_; }
  [[nodiscard]] std::vector<std::string> nodes() const { return nodes_; }
  // Of the worker that trains there; 0: none is known to.
  [[nodiscard]] int worker_pid(const std::string& node) const {
    const auto found = worker_pids_.find(node);
    return found == worker_pids_.end() ? 0 : found->second;
  }

  // Reads the journals and does what is due. Call every few milliseconds.
  Result<void> look();
  // kTimeout says what was waited for and what the cluster says of itself.
  Result<void> wait_for(const std::function<bool()>& condition, double seconds, const std::string& what);
  // After that many milliseconds, from within look().
  void later(std::int64_t ms, std::function<Result<void>()> what);

  // Published as that epoch. kNotFound: none, or one so old that it is forgotten.
  Result<Plan> plan(Epoch epoch);
  // As `regroup drain`, and with --undo.
  Result<void> drain(const std::string& node);
  Result<void> undo_drain(const std::string& node);

  // Coordinators that take part in the election; the leader first.
  Result<std::vector<std::string>> coordinators();

 private:
  explicit RunningJob(RunningJobOptions options) : options_(std::move(options)), keys_(kCluster) {}
  [[nodiscard]] std::string what_the_cluster_says() const;

  static constexpr const char* kCluster = "bench";
  struct Due {
    std::int64_t at_ms;
    std::function<Result<void>()> what;
  };
  RunningJobOptions options_;
  Keys keys_;
  std::vector<std::string> nodes_;
  std::unique_ptr<cli::Cluster> cluster_;
  std::unique_ptr<Store> store_;
  std::map<std::string, cli::FileTail> journals_;
  std::map<std::string, int> worker_pids_;
  std::vector<Due> due_;
  Timeline timeline_;
  cli::RunRecord record_;
  std::string last_end_;
};

}  // namespace regroup::bench
