// cluster_view.hpp: what etcd says, as this coordinator last heard it, and when it heard it. Pure.
//
// A cache of every key under the cluster's root, fed by one watch in etcd's order. Holds no opinion: who is lost, who
// may join and what is planned is decided elsewhere from this view alone. Times are this process's monotonic clock,
// passed in.
#pragma once

#include "api/job_spec.hpp"
#include "api/keys.hpp"
#include "api/plan.hpp"
#include "api/records.hpp"
#include "base/now.hpp"
#include "store/store.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace regroup::coordinator {

// How long is long. Every wait of the core is one of these.
struct Timing {
  Span lease{3000};           // of nodes/<id>
  Span session_margin{1000};  // absence counts after an uninterrupted session of lease + margin
  Span absence_grace{1500};   // ... and an absence of this length
  Span proof_holds{30000};    // progress after an absence: the absence alone proves nothing for this long
  Span contact_gap{1000};     // a longer silence of etcd ends the session
  Span start_wait{2000};      // first plan: how long the first ready node waits for the others
  Span join_batch{300};       // joiners that come close together join together
  Span rebalance_wait{5000};  // a worker on its way is waited for before redundancy is restored without it
  // a plan is in force for this long before experts are moved by their load; twice as long after each such move among
  // the same members
  Span load_wait{10000};
  Span silence_window{150};  // one reporter alone says "silent": the others get this long to agree or to object
  Span stuck_wait{1000};     // members wait for a source of state: how long newcomers gather before they are added
  Span retry{200};           // after a refused or failed write
  Span forget_node{60000};   // an absent node keeps its assignment this long
  Span scan_again{5000};     // a checkpoint directory that cannot be used is looked at again
  Span stop_wait{5000};      // a job that shall stop and saves first, while nobody trains
  Span stop_limit{300000};   // ... at all
  int keep_plans = 16;       // plan/<epoch> keys kept
};

template <class T>
struct Seen {
  T value;
  std::int64_t create_revision = 0;
  std::int64_t mod_revision = 0;
  std::int64_t lease = 0;
  Instant first_seen{};  // of the key; survives changes of its value
  Instant last_changed{};
};

struct Absence {
  Instant since{};
  std::int64_t revision = 0;  // at which the key was first known to be gone
};

struct JobView {
  std::string name;
  std::optional<Seen<JobSpec>> spec;
  std::string spec_error;                        // the spec is there but cannot be used
  std::optional<Seen<Plan>> plan;                // plan/current
  std::string plan_error;                        // plan/current is there but cannot be read: never plan over it
  std::map<std::uint64_t, std::string> history;  // plan/<epoch>, as text
  std::map<std::string, Seen<WishRecord>> wishes;
  std::optional<Seen<BornRecord>> born;
  std::map<Step, CheckpointRecord> checkpoints;
  std::map<NodeId, Seen<ProgressRecord>> progress;
  std::map<NodeId, Seen<LoadRecord>> loads;
  std::optional<Seen<std::string>> outcome;
  std::optional<Seen<std::string>> status;
  std::set<WorkerId> finished;  // seen in state finished: their exit is no loss
  Epoch epoch_in_force;         // newest epoch whose members hold their state, and since when we know
  Instant in_force_since{};
  bool manifests_scanned = false;  // the checkpoint directory was looked at (or there is none)
  std::string scan_problem;        // why it must not be used, such as a checkpoint of another job in it

  // State lies where the current plan says: a member trains in it (none does before all hold theirs), or a step was
  // committed.
  [[nodiscard]] bool in_force() const { return plan && epoch_in_force >= plan->value.epoch; }
  // A boundary plan that, as far as we know, nobody has switched to yet.
  [[nodiscard]] bool pending() const { return plan && plan->value.when == When::kBoundary && !in_force(); }
  // The newest by epoch and step that fits the job's model; null when there is none.
  [[nodiscard]] const Seen<LoadRecord>* newest_load() const;
};

class ClusterView {
 public:
  ClusterView(const std::string& cluster, const Timing& timing) : keys_(cluster), timing_(timing) {}

  void apply(const WatchUpdate& update, const Now& now);
  // etcd answered a request of ours: the session goes on, or starts anew when the last answer is too long ago.
  void contact(const Now& now);
  // For how long etcd has answered without a gap; zero when it does not answer now.
  [[nodiscard]] Span session(const Now& now) const;
  // A write of ours that etcd confirmed: applied before the watch brings it, and older news of the same keys is
  // ignored.
  void wrote(const std::vector<Op>& ops, std::int64_t revision, const Now& now);
  // The checkpoint directory was scanned; `found` is its newest complete checkpoint.
  void scanned(const std::string& job, const std::optional<CheckpointRecord>& found, const std::string& problem);

  [[nodiscard]] const NodeRecord* node(const NodeId& id) const;
  // The worker's record as its agent wrote it last, whichever life of the slot it is; null when none.
  [[nodiscard]] const WorkerRecord* slot_of(const WorkerId& id) const;
  // When the node was last known to vanish; of a node never seen: since the session began.
  [[nodiscard]] std::optional<Absence> absence(const NodeId& id) const;

  [[nodiscard]] const Keys& keys() const { return keys_; }
  [[nodiscard]] const Timing& timing() const { return timing_; }
  [[nodiscard]] bool complete() const { return complete_; }  // the whole content was received once
  [[nodiscard]] const std::map<NodeId, Seen<NodeRecord>>& nodes() const { return nodes_; }
  [[nodiscard]] const std::map<NodeId, Seen<NoticeRecord>>& notices() const { return notices_; }
  [[nodiscard]] const std::map<std::string, Seen<SuspectRecord>>& suspects() const { return suspects_; }
  [[nodiscard]] const std::map<NodeId, Seen<AssignmentRecord>>& assignments() const { return assignments_; }
  [[nodiscard]] const std::map<std::string, JobView>& jobs() const { return jobs_; }
  [[nodiscard]] const std::map<std::string, std::string>& unreadable() const { return unreadable_; }  // key -> why

 private:
  void put(const KeyValue& kv, const Now& now);
  void put_job(const std::string& rest, const KeyValue& kv, const Now& now);
  void erase(const std::string& key, std::int64_t revision, const Now& now);
  void erase_job(const std::string& rest);
  void note_in_force(JobView& job, Epoch epoch, const Now& now);

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
  std::map<NodeId, Seen<AssignmentRecord>> assignments_;
  std::map<std::string, JobView> jobs_;
  std::map<std::string, std::string> unreadable_;
  std::map<std::string, std::int64_t> written_;  // by us, and not yet brought by the watch
};

}  // namespace regroup::coordinator
