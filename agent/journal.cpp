#include "agent/journal.hpp"

#include "api/journal_event.hpp"
#include "base/log.hpp"
#include "base/now.hpp"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <chrono>
#include <cstring>

namespace regroup::agent {

using nlohmann::ordered_json;

constexpr std::size_t kMostBytes = std::size_t{64} << 20;

struct Journal::Line {
  ordered_json fields;
  Line(JournalEvent event) : fields{{"event", to_string(event)}} {}
  Line(JournalEvent event, const WorkerId& worker) : Line(event) { fields["worker"] = to_string(worker); }
  ordered_json& operator[](const char* key) { return fields[key]; }
};

Journal::Journal(const std::string& path, NodeId node) : file_(path, kMostBytes), node_(std::move(node)) {}

void Journal::write(const Line& line) {
  ordered_json whole = {{"at_ms", wall_ms()}, {"node", node_.value}};
  whole.update(line.fields);
  const std::string text = whole.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  if (file_.append(text)) return;
  if (!complained_) log::warn("journal_not_written", {{"error", std::strerror(errno)}});
  complained_ = true;
}

void Journal::plan(const Plan& plan) {
  Line line(JournalEvent::kPlan);
  line["epoch"] = plan.epoch.value;
  line["cause"] = to_string(plan.cause);
  line["reason"] = plan.reason;
  for (const Participant& member : plan.members) line["members"].push_back(to_string(member.worker));
  line["groups"] = plan.placement.groups.size();
  line["when"] = kWhenWords(plan.when);
  line["detected_at_ms"] = plan.detected_at_ms;
  line["decided_at_ms"] = plan.decided_at_ms;
  write(line);
}

void Journal::refused(const std::string& text) {
  Line line(JournalEvent::kPlanRefused);
  line["text"] = text;
  write(line);
}

void Journal::started(const WorkerId& worker, int pid) {
  Line line(JournalEvent::kWorkerStarted, worker);
  line["pid"] = pid;
  write(line);
}

// What a worker said, as a line of each kind; what has none says why.
struct Journal::Said {
  Journal& journal;
  const WorkerId& worker;

  void operator()(const Hello& hello) const {
    Line line(JournalEvent::kWorkerReady, worker);
    line["pid"] = hello.pid;
    journal.write(line);
  }
  void operator()(const StateChanged& state) const {
    Line line(JournalEvent::kState, worker);
    line["state"] = to_string(state.state);
    line["epoch"] = state.epoch.value;
    line["text"] = state.text;
    journal.write(line);
  }
  void operator()(const Suspects& suspects) const {
    for (const Suspicion& suspicion : suspects.suspicions) {
      Line line(JournalEvent::kSuspicion, worker);
      line["epoch"] = suspects.epoch.value;
      line["whom"] = to_string(suspicion.whom);
      line["evidence"] = to_string(suspicion.evidence);
      journal.write(line);
    }
  }
  void operator()(const Committed& committed) const {
    const CommitReport& r = committed.report;
    Line line(JournalEvent::kCommitted, worker);
    line["epoch"] = r.epoch.value;
    line["step"] = r.step.value;
    line["loss"] = r.loss;
    line["aux_loss"] = r.aux_loss;
    line["z_loss"] = r.z_loss;
    line["tokens"] = r.tokens;
    line["seconds"] = r.seconds;
    line["phases"] = ordered_json::object();
    for (const auto& [phase, seconds] : r.phases) line["phases"][to_string(phase)] = seconds;
    line["rank_load"] = r.rank_load;
    line["bad_steps"] = r.bad.total;
    line["bad_in_a_row"] = r.bad.in_a_row;
    if (r.checkpoint_left_out) line["checkpoint_left_out"] = true;
    journal.write(line);
  }
  void operator()(const Regrouped& regrouped) const {
    const RegroupReport& r = regrouped.report;
    Line line(JournalEvent::kRegrouped, worker);
    line["epoch"] = r.epoch.value;
    line["cause"] = to_string(r.cause);
    line["reason"] = r.reason;
    line["members"] = r.members;
    line["step"] = r.step.value;
    line["source"] = to_string(r.source);
    line["stop_ms"] = r.stop_ms;
    line["agree_ms"] = r.agree_ms;
    line["move_ms"] = r.move_ms;
    line["first_commit_ms"] = r.first_commit_ms;
    line["bytes_moved"] = r.bytes_moved;
    line["bytes_from_own_agent"] = r.bytes_from_own_agent;
    line["plan_seen_at_ms"] = r.plan_seen_at_ms;
    line["steps_lost"] = r.steps_lost;
    journal.write(line);
  }
  void operator()(const NeedArena&) const {}       // at each start
  void operator()(const SnapshotTaken&) const {}   // what becomes of it is a line: kept, saved
  void operator()(const WeightsRefused&) const {}  // its fault is a line
  void operator()(const Finished& finished) const {
    if (finished.weights_sha256.empty()) return;  // one member computes the digest
    Line line(JournalEvent::kFinished, worker);
    line["step"] = finished.step.value;
    line["weights_sha256"] = finished.weights_sha256;
    journal.write(line);
  }
  void operator()(const Validated& validated) const {
    Line line(JournalEvent::kValidated, worker);
    line["epoch"] = validated.epoch.value;
    line["step"] = validated.step.value;
    line["loss"] = validated.loss;
    line["tokens"] = validated.targets;
    line["seconds"] = validated.seconds;
    journal.write(line);
  }
  void operator()(const GaveUp& gave_up) const {
    Line line(JournalEvent::kGaveUp, worker);
    line["step"] = gave_up.step.value;
    line["text"] = gave_up.reason;
    journal.write(line);
  }
  void operator()(const Stopped& stopped) const {
    Line line(JournalEvent::kStopped, worker);
    line["epoch"] = stopped.epoch.value;
    line["step"] = stopped.step.value;
    journal.write(line);
  }
  void operator()(const Fault& fault) const {
    Line line(JournalEvent::kFault, worker);
    line["text"] = fault.text;
    journal.write(line);
  }
};

void Journal::said(const WorkerId& worker, const FromWorker& message) { std::visit(Said{*this, worker}, message); }

void Journal::ended(const WorkerId& worker, int signal, int status, bool asked, const std::string& text) {
  Line line(JournalEvent::kWorkerExited, worker);
  line["signal"] = signal;
  line["status"] = status;
  line["asked"] = asked;
  line["text"] = text;
  write(line);
}

void Journal::kept(const SnapshotKept& kept) {
  Line line(kept.problem.empty() ? JournalEvent::kSnapshotKept : JournalEvent::kSnapshotFailed, kept.worker);
  line["step"] = kept.step.value;
  line["bytes"] = kept.bytes;
  line["seconds"] = kept.seconds;
  line["buddy"] = kept.buddy;
  line["text"] = kept.problem;
  write(line);
}

void Journal::saved(const CheckpointSaved& saved) {
  // Of a good save the commit is what counts; a failed part is told by whoever failed.
  Line line(!saved.problem.empty() ? JournalEvent::kCheckpointFailed
            : saved.committed      ? JournalEvent::kCheckpointDurable
                                   : JournalEvent::kCheckpointPart,
            saved.worker);
  line["step"] = saved.step.value;
  line["epoch"] = saved.epoch.value;
  line["bytes"] = saved.bytes;
  line["seconds"] = saved.seconds;
  line["text"] = saved.problem;
  write(line);
}

void Journal::lease_lost() { write(Line(JournalEvent::kLeaseLost)); }

void Journal::quits(const std::string& reason) {
  Line line(JournalEvent::kQuits);
  line["text"] = reason;
  write(line);
}

}  // namespace regroup::agent
