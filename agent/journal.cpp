#include "agent/journal.hpp"

#include "base/log.hpp"
#include "base/now.hpp"

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

namespace regroup::agent {

using nlohmann::ordered_json;

struct Journal::Line {
  ordered_json fields;
  Line(const char* event) : fields{{"event", event}} {}
  Line(const char* event, const WorkerId& worker) : fields{{"event", event}, {"worker", to_string(worker)}} {}
  ordered_json& operator[](const char* key) { return fields[key]; }
};

Journal::Journal(const std::string& path, NodeId node)
    : fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)), node_(std::move(node)) {}

Journal::~Journal() {
  if (fd_ >= 0) ::close(fd_);
}

void Journal::write(const Line& line) {
  ordered_json whole = {{"at_ms", wall_ms()}, {"node", node_.value}};
  whole.update(line.fields);
  const std::string text = whole.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  if (fd_ >= 0 && ::write(fd_, text.data(), text.size()) == static_cast<ssize_t>(text.size())) return;
  if (!complained_) log::warn("journal_not_written", {{"error", std::strerror(errno)}});
  complained_ = true;
}

void Journal::plan(const Plan& plan) {
  Line line("plan");
  line["epoch"] = plan.epoch.value;
  line["cause"] = to_string(plan.cause);
  line["reason"] = plan.reason;
  for (const Participant& member : plan.members) line["members"].push_back(to_string(member.worker));
  line["groups"] = plan.placement.groups.size();
  line["when"] = plan.when == When::kNow ? "now" : "boundary";
  line["detected_at_ms"] = plan.detected_at_ms;
  line["decided_at_ms"] = plan.decided_at_ms;
  write(line);
}

void Journal::refused(const std::string& text) {
  Line line("plan_refused");
  line["text"] = text;
  write(line);
}

void Journal::started(const WorkerId& worker, int pid) {
  Line line("worker_started", worker);
  line["pid"] = pid;
  write(line);
}

void Journal::said(const WorkerId& worker, const FromWorker& message) {
  if (const auto* hello = std::get_if<Hello>(&message)) {
    Line line("worker_ready", worker);
    line["pid"] = hello->pid;
    write(line);
  } else if (const auto* state = std::get_if<StateChanged>(&message)) {
    Line line("state", worker);
    line["state"] = to_string(state->state);
    line["epoch"] = state->epoch.value;
    line["text"] = state->text;
    write(line);
  } else if (const auto* suspects = std::get_if<Suspects>(&message)) {
    for (const Suspicion& suspicion : suspects->suspicions) {
      Line line("suspicion", worker);
      line["epoch"] = suspects->epoch.value;
      line["whom"] = to_string(suspicion.whom);
      line["evidence"] = to_string(suspicion.evidence);
      write(line);
    }
  } else if (const auto* committed = std::get_if<Committed>(&message)) {
    const CommitReport& r = committed->report;
    Line line("committed", worker);
    line["epoch"] = r.epoch.value;
    line["step"] = r.step.value;
    line["loss"] = r.loss;
    line["aux_loss"] = r.aux_loss;
    line["z_loss"] = r.z_loss;
    line["tokens"] = r.tokens;
    line["seconds"] = r.seconds;
    line["phases"] = r.phases;
    line["rank_load"] = r.rank_load;
    line["bad_steps"] = r.bad.total;
    line["bad_in_a_row"] = r.bad.in_a_row;
    if (r.checkpoint_left_out) line["checkpoint_left_out"] = true;
    write(line);
  } else if (const auto* regrouped = std::get_if<Regrouped>(&message)) {
    const RegroupReport& r = regrouped->report;
    Line line("regrouped", worker);
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
    write(line);
  } else if (const auto* finished = std::get_if<Finished>(&message)) {
    if (finished->weights_sha256.empty()) return;  // one member computes the digest
    Line line("finished", worker);
    line["step"] = finished->step.value;
    line["weights_sha256"] = finished->weights_sha256;
    write(line);
  } else if (const auto* validated = std::get_if<Validated>(&message)) {
    Line line("validated", worker);
    line["epoch"] = validated->epoch.value;
    line["step"] = validated->step.value;
    line["loss"] = validated->loss;
    line["tokens"] = validated->targets;
    line["seconds"] = validated->seconds;
    write(line);
  } else if (const auto* gave_up = std::get_if<GaveUp>(&message)) {
    Line line("gave_up", worker);
    line["step"] = gave_up->step.value;
    line["text"] = gave_up->reason;
    write(line);
  } else if (const auto* stopped = std::get_if<Stopped>(&message)) {
    Line line("stopped", worker);
    line["epoch"] = stopped->epoch.value;
    line["step"] = stopped->step.value;
    write(line);
  } else if (const auto* fault = std::get_if<Fault>(&message)) {
    Line line("fault", worker);
    line["text"] = fault->text;
    write(line);
  }
}

void Journal::ended(const WorkerId& worker, int signal, int status, bool asked, const std::string& text) {
  Line line("worker_exited", worker);
  line["signal"] = signal;
  line["status"] = status;
  line["asked"] = asked;
  line["text"] = text;
  write(line);
}

void Journal::kept(const SnapshotKept& kept) {
  Line line(kept.problem.empty() ? "snapshot_kept" : "snapshot_failed", kept.worker);
  line["step"] = kept.step.value;
  line["bytes"] = kept.bytes;
  line["seconds"] = kept.seconds;
  line["buddy"] = kept.buddy;
  line["text"] = kept.problem;
  write(line);
}

void Journal::saved(const CheckpointSaved& saved) {
  // Of a good save the commit is what counts; a failed part is told by whoever failed.
  Line line(!saved.problem.empty() ? "checkpoint_failed"
            : saved.committed      ? "checkpoint_durable"
                                   : "checkpoint_part",
            saved.worker);
  line["step"] = saved.step.value;
  line["epoch"] = saved.epoch.value;
  line["bytes"] = saved.bytes;
  line["seconds"] = saved.seconds;
  line["text"] = saved.problem;
  write(line);
}

void Journal::lease_lost() { write(Line("lease_lost")); }

void Journal::quits(const std::string& reason) {
  Line line("quits");
  line["text"] = reason;
  write(line);
}

}  // namespace regroup::agent
