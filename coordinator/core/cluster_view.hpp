// cluster_view.hpp: what etcd says, as this coordinator last heard it, and when it heard it. Pure.
//
// A cache of every key under the cluster's root, fed by one watch in etcd's order. It holds no opinion: who is lost,
// who may join and what is planned is decided by other files, from this view alone. One thing depends on records that
// later ones overwrite, so it is kept here, job by job, while records pass: which plan is in force. What a record says
// about that, in_force.hpp decides. Times are this process's monotonic clock, passed in.
#pragma once

#include "api/job_spec.hpp"
#include "api/keys.hpp"
#include "api/plan_pointer.hpp"
#include "api/records.hpp"
#include "base/now.hpp"
#include "coordinator/core/first_sight.hpp"
#include "coordinator/core/in_force.hpp"
#include "coordinator/core/seen.hpp"
#include "coordinator/core/timing.hpp"
#include "store/store.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace regroup::coordinator {

struct Absence {
  Instant since{};
  std::int64_t revision = 0;  // at which the key was first known to be gone
};

struct JobRecords {
  std::string name;
  std::optional<Seen<JobSpec>> spec;
  std::string spec_error;           // the spec is there but cannot be used
  std::optional<KeyValue> current;  // plan/current, as etcd has it
  std::optional<Seen<Plan>> plan;   // that it names; revisions and times are those of plan/current
  std::string plan_error;           // plan/current is there, but its plan cannot be read: never plan over it
  PlanTexts history;
  std::map<std::string, Seen<WishRecord>> wishes;
  std::optional<Seen<BornRecord>> born;
  std::map<Step, CheckpointRecord> checkpoints;
  std::map<NodeId, Seen<ProgressRecord>> progress;
  std::map<NodeId, Seen<LoadRecord>> loads;
  std::optional<Seen<std::string>> outcome;
  std::optional<Seen<std::string>> status;
  std::set<WorkerId> finished;     // seen in state finished: they are not lost when they exit
  InForce in_force;                // what workers and agents have said of the plans that they train in
  bool manifests_scanned = false;  // the checkpoint directory was looked at (or there is none)
  std::string scan_problem;        // why it must not be used, such as a checkpoint of another job in it

  // The members of the current plan hold the state that it gives them.
  [[nodiscard]] bool is_in_force() const { return plan && in_force.has_reached(plan->value.epoch); }
  // A boundary plan that, as far as we know, nobody has switched to yet.
  [[nodiscard]] bool is_pending() const { return plan && plan->value.when == When::kBoundary && !is_in_force(); }
  // A step was committed in this epoch or a later one.
  [[nodiscard]] bool has_committed(Epoch epoch) const;
  // The record says more of its node than how far it has come since the last one.
  [[nodiscard]] bool is_news(const NodeId& node, const ProgressRecord& record) const;
  // plan/current names this epoch's plan.
  [[nodiscard]] bool names(Epoch epoch) const;
  // The newest by epoch and step that fits the job's model; null when there is none.
  [[nodiscard]] const Seen<LoadRecord>* newest_load() const;
};

class ClusterView {
 public:
  ClusterView(const std::string& cluster, const Timing& timing) : keys_(cluster), timing_(timing) {}

  // True: it may call for a decision at once. False: no more than numbers, such as the step of a member that trains.
  bool apply(const WatchUpdate& update, const Now& now);
  // etcd answered a request of ours: the session goes on, or starts anew when the last answer is too long ago.
  void contact(const Now& now);
  // For how long etcd has answered without a gap; zero when it does not answer now.
  [[nodiscard]] Span session(const Now& now) const;
  // A write of ours that etcd confirmed: applied before the watch brings it, and older news of the same keys is
  // ignored.
  void wrote(const std::vector<Op>& ops, std::int64_t revision, const Now& now);
  // The checkpoint directory was scanned; `found` is its newest complete checkpoint.
  void scanned(const std::string& job, const std::optional<CheckpointRecord>& found, const std::string& problem);

  // The jobs of which a key has changed since the last call.
  std::set<std::string> take_changed_jobs() { return std::exchange(changed_jobs_, {}); }

  [[nodiscard]] const NodeRecord* node(const NodeId& id) const;
  // The worker's record as its agent wrote it last, whichever life of the slot it is; null when none.
  [[nodiscard]] const WorkerRecord* slot_of(const WorkerId& id) const;
  // When the node was last known to vanish; of a node never seen: since the session began.
  [[nodiscard]] std::optional<Absence> absence(const NodeId& id) const;

  // Since when the worker's record has said this state in this epoch, as far as etcd has answered without a gap.
  [[nodiscard]] Instant state_since(const WorkerRecord& record, const Now& now) const;
  // Since when the reporter has said this of that worker in this epoch; likewise.
  [[nodiscard]] Instant suspected_since(const SuspectRecord& by, const Suspicion& suspicion, const Now& now) const;

  [[nodiscard]] const Keys& keys() const { return keys_; }
  [[nodiscard]] const Timing& timing() const { return timing_; }
  [[nodiscard]] bool complete() const { return complete_; }  // the whole content was received once
  [[nodiscard]] const std::map<NodeId, Seen<NodeRecord>>& nodes() const { return nodes_; }
  [[nodiscard]] const std::map<NodeId, Seen<NoticeRecord>>& notices() const { return notices_; }
  [[nodiscard]] const std::map<std::string, Seen<SuspectRecord>>& suspects() const { return suspects_; }
  [[nodiscard]] const std::map<NodeId, Seen<AssignmentRecord>>& assignments() const { return assignments_; }
  [[nodiscard]] const std::map<std::string, JobRecords>& jobs() const { return jobs_; }
  [[nodiscard]] const std::map<std::string, std::string>& unreadable() const { return unreadable_; }  // key -> why

 private:
  bool put(const KeyValue& kv, const Now& now);  // as apply
  void put_node(const NodeId& id, const KeyValue& kv, const Now& now);
  void put_spec(JobRecords& job, const KeyValue& kv, const Now& now);
  static void read_plan(JobRecords& job, const Now& now);
  void erase(const std::string& text, std::int64_t revision, const Now& now);
  [[nodiscard]] Instant within_session(std::optional<Instant> since, const Now& now) const;

  using StateSaid = std::tuple<WorkerId, Epoch, WorkerState, bool>;  // the last: lacks
  using SuspicionSaid = std::tuple<WorkerId, Epoch, Evidence>;

  Keys keys_;
  Timing timing_;
  bool complete_ = false;
  bool connected_ = false;
  std::optional<Instant> session_since_;
  Instant last_contact_{};
  std::int64_t reset_revision_ = 0;
  std::map<NodeId, Seen<NodeRecord>> nodes_;
  std::map<NodeId, Absence> absences_;
  std::map<NodeId, Seen<NoticeRecord>> notices_;
  std::map<std::string, Seen<SuspectRecord>> suspects_;
  std::map<NodeId, FirstSight<StateSaid>> states_said_;
  std::map<std::string, FirstSight<SuspicionSaid>> suspicions_said_;  // by reporter
  std::map<NodeId, Seen<AssignmentRecord>> assignments_;
  std::map<std::string, JobRecords> jobs_;
  std::map<std::string, std::set<std::string>> job_keys_;  // job -> its keys; a job without any is gone
  std::set<std::string> changed_jobs_;
  std::map<std::string, std::string> unreadable_;
  std::map<std::string, std::int64_t> written_;  // by us, and not yet brought by the watch
};

}  // namespace regroup::coordinator
