// coordinator.hpp: the coordinator's core: step(now, events) -> actions. Pure.
//
// All events are taken in first, then one look is taken at each job that is not over, and at one that is over until its
// status is written and nothing of it is left to tidy. What only counts up, such as the steps of members that train,
// waits for the next tick's look.
//
// It owns no truth: all that it knows is a view of etcd and which writes are under way. So it can be lost at any
// moment, and another one goes on from what etcd says.
//
// Every action that writes is a transaction with two conditions: this coordinator still leads (create revision of its
// election key), and the key that it changes is as it was read. An action of a deposed leader, or one that was decided
// from an old view, therefore does nothing.
#pragma once

#include "api/job_status.hpp"
#include "coordinator/core/cluster_view.hpp"
#include "coordinator/core/decide.hpp"
#include "metrics/counters.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace regroup::coordinator {

// ---- events ----

// The watch on the cluster's root brought changes.
struct StoreUpdate {
  WatchUpdate update;
};
// etcd answered some request of ours.
struct EtcdContact {};
struct LeadershipGained {
  std::string key;
  std::int64_t create_revision = 0;
};
struct LeadershipLost {};
enum class WriteOutcome { kDone, kRefused, kFailed };  // refused: a compare did not hold; failed: nothing was done
struct WriteFinished {
  std::uint64_t id = 0;
  WriteOutcome outcome = WriteOutcome::kDone;
  std::int64_t revision = 0;
};
struct CheckpointsScanned {
  std::string job;
  std::optional<CheckpointRecord> newest;
  std::string problem;  // why the directory cannot be used; it is scanned again later
};
struct Tick {};
using Event =
    std::variant<StoreUpdate, EtcdContact, LeadershipGained, LeadershipLost, WriteFinished, CheckpointsScanned, Tick>;

// ---- actions ----

// A transaction with the conditions above. Each is answered by a WriteFinished, unless leadership is lost first.
struct Write {
  enum class Kind { kPublishPlan, kBorn, kEnd, kAssign, kUnassign, kStatus, kOutcome, kRemove };
  Kind kind = Kind::kStatus;
  std::uint64_t id = 0;
  std::string job;
  std::string key;    // the one that matters: read back when the outcome is unknown
  std::string value;  // of that key
  std::vector<Compare> when;
  std::vector<Op> then;
  std::optional<Plan> plan;  // kPublishPlan
  std::string reason;
};
// Look for checkpoints in the job's directory. Answered by CheckpointsScanned.
struct ScanCheckpoints {
  std::string job;
  JobSpec spec;
};
using Action = std::variant<Write, ScanCheckpoints>;

class Coordinator {
 public:
  Coordinator(const std::string& cluster, std::string id, const Timing& timing = {});

  [[nodiscard]] std::vector<Action> step(const Now& now, const std::vector<Event>& events);

  [[nodiscard]] const ClusterView& view() const { return view_; }
  [[nodiscard]] bool leads() const { return leader_.has_value(); }
  // Those that are looked at; the others are over, and nothing of them is left to do.
  [[nodiscard]] const std::set<std::string>& open_jobs() const { return open_jobs_; }
  // What was last decided about each job, for status pages.
  [[nodiscard]] const std::map<std::string, JobStatus>& statuses() const { return statuses_; }
  // Fills in what the core knows: leadership, nodes, and of each job its plan and state. Jobs that are gone are
  // removed; what the shell counts stays.
  void fill(metrics::CoordinatorCounters& counters) const;

 private:
  struct InFlight {
    std::string key;
    std::vector<Op> then;  // applied to the view when done
  };

  bool take(const Now& now, const Event& event);  // true: a look is due
  void finished(const Now& now, const WriteFinished& done);
  void look_at_jobs(const Now& now, std::vector<Action>& actions);
  // False: there is no need of another look until a key of it changes.
  bool look_at_job(const Now& now, const JobRecords& job, std::vector<Action>& actions);
  void look_at_open_job(const Now& now, const JobRecords& job, JobStatus status, std::vector<Action>& actions);
  void publish(const Plan& plan, const std::string& text, const JobRecords& job, std::vector<Action>& actions);
  bool put_status(const Now& now, const JobRecords& job, const JobStatus& status,
                  std::vector<Action>& actions);  // false: it is written
  // True when the job is over, or about to be. `state`: of the decision just made; unknown before there is one.
  // `failure`: why the job cannot go on; empty: it can.
  bool put_outcome(const Now& now, const JobRecords& job, JobState state, std::vector<Action>& actions,
                   const std::string& failure = {});
  void end_workers(const Now& now, const JobRecords& job, const std::vector<WorkerId>& workers,
                   std::vector<Action>& actions);
  void put_born(const Now& now, const JobRecords& job, std::vector<Action>& actions);
  bool tidy(const Now& now, const JobRecords& job, std::vector<Action>& actions);  // false: nothing is to be removed
  void assign(const Now& now, std::vector<Action>& actions);
  [[nodiscard]] bool busy(const Now& now, const std::string& key) const;
  Write& start(Write::Kind kind, const std::string& job, const std::string& key, std::vector<Action>& actions);

  ClusterView view_;
  std::string id_;
  std::optional<LeadershipGained> leader_;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, InFlight> in_flight_;
  std::set<std::string> keys_in_flight_;       // of those: at most one write of a key at a time
  std::map<std::string, Instant> not_before_;  // key -> after a refused or failed write
  std::set<std::string> open_jobs_;            // to be looked at
  std::map<std::string, JobMemory> memories_;
  std::map<std::string, JobStatus> statuses_;
  std::map<std::string, Instant> next_scan_;  // job -> not before; max while one is under way
};

}  // namespace regroup::coordinator
