// agent.hpp: the agent's core: step(now, event) -> actions. Pure: no socket, no clock, no process.
//
// Decides when the worker of a slot is started, told a plan, or killed; what the node says of itself in etcd; which
// snapshot goes to which buddy; when a drained node may go. It makes no plans: it carries out the newest one and
// ignores lower epochs. A worker is killed in three cases only: its job leaves this node and it does not stop when
// asked, a newer plan goes on without it, or it says itself that it cannot start. (WorkerProcess kills one that sends a
// malformed message.) Never because etcd or a coordinator is away.
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
struct Assigned {
  std::string job;                              // empty: none
  std::optional<WorkerId> ends = std::nullopt;  // as in AssignmentRecord, as the next
  Epoch ends_in = {};
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
struct WorkerEnded {  // also when it could not be started: status 127
  WorkerId worker;
  int signal = 0;
  int status = 0;
  std::string why;  // it could not be started; "" where that is not known
};
struct Terminate {};  // drain and go; the second one: go now
struct Tick {
  int saves_under_way = 0;
};
using Event = std::variant<Assigned, JobKnown, PlanKnown, WorkerSays, WorkerEnded, SnapshotKept, CheckpointSaved,
                           Terminate, Tick>;

// Actions. The shell performs all of a step, in the order of the list, before it looks at the next event. So nothing
// that follows from an action (a worker's answer, a key that a watch sees) overtakes the rest of its step, and the
// order counts only between actions that meet at one target. Each says which those are; what says nothing may stand
// anywhere.

// Watch this job's spec and current plan; empty: none. The last one of a step counts: a node that goes from one job to
// another follows none first, then the new one.
struct FollowJob {
  std::string job;
};

// Whose snapshots are kept and served; none: nobody's. The last one counts.
struct WorkFor {
  std::optional<JobSpec> job;
};

// Takes the spare process where there is one. Before any Tell to this worker, which would be lost otherwise.
struct StartWorker {
  WorkerId worker;
  JobSpec job;
  Epoch highest_epoch;
  bool storage_proven = false;   // as in Welcome
  bool weights_doubted = false;  // as in Welcome
  std::string settings = {};     // as in Welcome
};

// Have a process ready for the next StartWorker; not in a step that starts one, which would take it at once.
struct KeepSpare {};

// SIGKILL, also of a stopped one. After a Tell to the same worker the message may be lost.
struct KillWorker {
  WorkerId worker;
  std::string reason;
};

// Messages to one worker arrive in the order of their Tells: of two plans the newer one is the later.
struct Tell {
  WorkerId worker;
  ToWorker message;
};

// The worker itself is answered, by ArenaGrant, when the memory is cleared; the actions after it do not wait for that.
struct GrantArena {
  WorkerId worker;
  int slots = 0;
  std::int64_t bytes = 0;
};

// Those of one worker in the order in which it took them: a later one ends what an earlier one left in the same slot.
struct TakeSnapshot {
  WorkerId worker;
  SnapshotTaken taken;
  std::string buddy;
  std::string fingerprint;
};

// Saves of earlier epochs, which a new plan makes hopeless; what later epochs take is not touched, so any order will
// do.
struct CancelSaves {
  Epoch before;
};

// Puts and erasures of one key: the last one counts. Among several keys no order is kept: they are written behind the
// core's back, many in one transaction. Leased records go with the node.
struct PutLeased {
  std::string key;
  std::string value;
};
struct EraseLeased {
  std::string key;
};

// Stays when the node goes. Of one key the last one counts.
struct PutLasting {
  std::string key;
  std::string value;
};

// A plan that is not carried out: for the log.
struct Refused {
  std::string text;
};

// No step follows. What stands after it in this one is still performed.
struct Quit {
  std::string reason;
};
using Action = std::variant<FollowJob, WorkFor, StartWorker, KeepSpare, KillWorker, Tell, GrantArena, TakeSnapshot,
                            CancelSaves, PutLeased, EraseLeased, PutLasting, Refused, Quit>;

// Defined in agent.cpp, agent_worker_says.cpp (the messages of workers, snapshots) and agent_records.cpp (write_*).
class Agent {
 public:
  explicit Agent(NodeFacts facts);

  [[nodiscard]] std::vector<Action> step(const Now& now, const Event& event);
  // When the core wants its next Tick because a time limit passes then; max: never. While it drains it wants ticks
  // often, because only a tick tells it that saves have ended.
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
  void said(Slot& slot, const WeightsRefused& message);
  void said(Slot& slot, const Fault& message);

  void say(ProgressState state, const std::string& reason = {});  // in the next progress record
  // Every comparison with the time goes through this, which also finds next_look_: the soonest that is not past.
  bool past(Instant at);
  void do_due();
  Slot* slot_of(const WorkerId& worker);  // while that very worker runs
  void start_due();
  void leave_job(const std::string& reason);
  void tell_plan(Slot& slot);
  void end_as_asked();
  void take(Slot& slot);
  // Empty: it is. Of the slot whose worker writes part 0.
  [[nodiscard]] static std::string why_not_saved(const Slot& slot, Step step);
  void quit_when_drained(int saves_under_way);
  void write_node();
  void write_own_suspicions();
  void write_progress();
  void write_load();
  [[nodiscard]] bool idle() const;           // no worker runs that is not done
  [[nodiscard]] bool is_counted_on() const;  // the plan may need what this node keeps, whether a worker runs or not
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
  Assigned asked_to_end_;  // likewise: its `ends`
  std::string following_;  // what our workers work for, until they are gone
  std::optional<JobSpec> job_;
  std::optional<Plan> plan_;        // newest of that job
  std::optional<Plan> early_plan_;  // came before its job
  std::vector<Suspicion> exits_;    // workers of the current plan that ended on this node
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
