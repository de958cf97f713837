// agent.hpp: the agent's core: step(now, event) -> actions. Pure: no socket, no clock, no process.
//
// Decides when a slot's worker starts, is told a plan, is killed; what the node says of itself in etcd; which snapshot
// goes to which buddy; when a drained node may go. Chooses nothing about plans: what a plan says is carried out, lower
// epochs are ignored. A worker is killed only when its job leaves this node, when a plan that it was part of is
// followed by one without it, or when it says itself that it cannot go on: never because etcd or a coordinator is away.
#pragma once

#include "agent/core/load_mean.hpp"
#include "agent/core/node_facts.hpp"
#include "agent/core/slot.hpp"
#include "api/keeper_reports.hpp"
#include "api/keys.hpp"
#include "api/worker_protocol.hpp"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace regroup::agent {

// Events.
// empty: none
struct Assigned {
  std::string job;
};
struct JobKnown {
  JobSpec job;
};
struct PlanKnown {
  Plan plan;
};
struct WorkerSays {
  WorkerId worker;
  FromWorker message;
};
// also when it could not be started: status 127
struct WorkerEnded {
  WorkerId worker;
  int signal = 0;
  int status = 0;
};
// drain and go; the second one: go now
struct Terminate {};
struct Tick {
  int saves_under_way = 0;
};
using Event = std::variant<Assigned, JobKnown, PlanKnown, WorkerSays, WorkerEnded, SnapshotKept, CheckpointSaved,
                           Terminate, Tick>;

// Actions, in this order.
// its spec and current plan; empty: none
struct FollowJob {
  std::string job;
};
// whose snapshots are kept and served
struct WorkFor {
  std::optional<JobSpec> job;
};
struct StartWorker {
  WorkerId worker;
  JobSpec job;
  Epoch highest_epoch;
};
// have a process ready for the next StartWorker
struct KeepSpare {};
// SIGKILL, also of a stopped one
struct KillWorker {
  WorkerId worker;
  std::string reason;
};
struct Tell {
  WorkerId worker;
  ToWorker message;
};
struct GrantArena {
  WorkerId worker;
  int slots = 0;
  std::int64_t bytes = 0;
};
struct TakeSnapshot {
  WorkerId worker;
  SnapshotTaken taken;
  std::string buddy;
  std::string fingerprint;
};
struct CancelSaves {
  Epoch before;
};
// gone with the node
struct PutLeased {
  std::string key;
  std::string value;
};
struct EraseLeased {
  std::string key;
};
struct PutLasting {
  std::string key;
  std::string value;
};
// a plan or message that is not carried out: for the log
struct Refused {
  std::string text;
};
struct Quit {
  std::string reason;
};
using Action = std::variant<FollowJob, WorkFor, StartWorker, KeepSpare, KillWorker, Tell, GrantArena, TakeSnapshot,
                            CancelSaves, PutLeased, EraseLeased, PutLasting, Refused, Quit>;

class Agent {
 public:
  explicit Agent(NodeFacts facts);

  [[nodiscard]] std::vector<Action> step(const Now& now, const Event& event);
  // When time alone makes the next difference, for which it wants a Tick; max: never. While it drains, saves that end
  // make one too: then it wants ticks often.
  [[nodiscard]] Instant next_look() const { return next_look_; }

  [[nodiscard]] const std::optional<JobSpec>& job() const { return job_; }
  [[nodiscard]] const std::optional<Plan>& plan() const { return plan_; }
  [[nodiscard]] const std::vector<Slot>& slots() const { return slots_; }
  [[nodiscard]] bool draining() const { return draining_since_.has_value(); }

 private:
  void on(const Assigned& event);
  void on(const JobKnown& event);
  void on(const PlanKnown& event);
  void on(const WorkerSays& event);
  void on(const WorkerEnded& event);
  void on(const SnapshotKept& event);
  void on(const CheckpointSaved& event);
  void on(const Terminate& event);
  void on(const Tick& event);

  void said(Slot& slot, const Hello& message);
  void said(Slot& slot, const Validated& message);
  void said(Slot& slot, const GaveUp& message);
  void said(Slot& slot, const StateChanged& message);
  void said(Slot& slot, const Suspects& message);
  void said(Slot& slot, const Committed& message);
  void said(Slot& slot, const Regrouped& message);
  void said(Slot& slot, const NeedArena& message);
  void said(Slot& slot, const SnapshotTaken& message);
  void said(Slot& slot, const Finished& message);
  void said(Slot& slot, const Stopped& message);
  void said(Slot& slot, const Fault& message);

  void say(ProgressState state, const std::string& reason = {});  // in the next progress record
  bool past(Instant at);  // every comparison with the time; the next look is at the soonest that is not past
  void do_due();
  Slot* slot_of(const WorkerId& worker);  // while that very worker runs
  void start_due();
  void leave_job(const std::string& reason);
  void tell_plan(Slot& slot);
  void take(Slot& slot);
  void quit_when_drained(int saves_under_way);
  void write_node();
  void write_own_suspicions();
  void write_progress();
  void write_load();
  [[nodiscard]] bool idle() const;  // no worker runs that is not done
  template <class A>
  void act(A action) {
    actions_.emplace_back(std::move(action));
  }

  NodeFacts facts_;
  Keys keys_;
  Now now_;
  Instant next_look_ = Instant::max();
  std::vector<Action> actions_;
  std::vector<Slot> slots_;
  std::string assigned_;   // what etcd says
  std::string following_;  // what our workers work for, until they are gone
  std::optional<JobSpec> job_;
  std::optional<Plan> plan_;        // newest of that job
  std::optional<Plan> early_plan_;  // came before its job
  std::vector<Suspicion> exits_;    // of workers that the plan counts on
  std::optional<Instant> draining_since_;
  ProgressRecord progress_;
  bool progress_is_new_ = false;  // ... and not written yet
  Instant progress_written_{};
  LoadMean load_;
  std::string node_text_, suspicions_text_;  // as last written
  bool has_spare_ = false;
  bool quit_ = false;
};

// The worker as part of a key.
std::string suspect_name(const WorkerId& worker);

}  // namespace regroup::agent
