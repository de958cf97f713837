#include "coordinator/core/coordinator.hpp"

#include "base/overload.hpp"

#include <algorithm>
#include <utility>

namespace regroup::coordinator {
Coordinator::Coordinator(const std::string& cluster, std::string id, const Timing& timing)
    : view_(cluster, timing), id_(std::move(id)) {}

std::vector<Action> Coordinator::step(const Now& now, const std::vector<Event>& events) {
  bool is_due = false;
  for (const Event& event : events) is_due = take(now, event) || is_due;
  std::vector<Action> actions;
  if (!is_due || !leader_ || !view_.complete()) return actions;
  look_at_jobs(now, actions);
  assign(now, actions);
  for (const Action& action : actions) {
    if (const auto* write = std::get_if<Write>(&action)) in_flight_[write->id] = {write->key, write->then};
  }
  return actions;
}

void Coordinator::look_at_jobs(const Now& now, std::vector<Action>& actions) {
  open_jobs_.merge(view_.take_changed_jobs());
  std::erase_if(open_jobs_, [&](const std::string& name) {
    const auto job = view_.jobs().find(name);
    return job == view_.jobs().end() || !look_at_job(now, job->second, actions);
  });
}

bool Coordinator::take(const Now& now, const Event& event) {
  bool is_due = true;
  std::visit(Overload{
                 [&](const StoreUpdate& e) { is_due = view_.apply(e.update, now); },
                 [&](const EtcdContact&) {
                   view_.contact(now);
                   is_due = false;
                 },
                 [&](const LeadershipGained& e) {
                   leader_ = e;
                   in_flight_.clear();
                   keys_in_flight_.clear();
                   not_before_.clear();
                   memories_.clear();
                   next_scan_.clear();
                   for (const auto& [name, job] : view_.jobs()) open_jobs_.insert(name);
                 },
                 [&](const LeadershipLost&) { leader_.reset(); },
                 [&](const WriteFinished& e) { finished(now, e); },
                 [&](const CheckpointsScanned& e) {
                   next_scan_[e.job] = now.at + view_.timing().scan_again;
                   view_.scanned(e.job, e.newest, e.problem);
                 },
                 [](const Tick&) {},
             },
             event);
  return is_due;
}

void Coordinator::finished(const Now& now, const WriteFinished& done) {
  const auto found = in_flight_.find(done.id);
  if (found == in_flight_.end()) return;  // of an earlier leadership
  const InFlight write = std::move(found->second);
  in_flight_.erase(found);
  keys_in_flight_.erase(write.key);
  if (done.outcome == WriteOutcome::kDone) {
    view_.wrote(write.then, done.revision, now);
  } else {
    not_before_[write.key] = now.at + view_.timing().retry;
  }
}

bool Coordinator::look_at_job(const Now& now, const JobRecords& job, std::vector<Action>& actions) {
  if (!job.spec) return false;
  const bool tidies = tidy(now, job, actions);
  JobStatus status{JobState::kUnknown, "", job.plan ? job.plan->value.epoch : Epoch{}, {}, {}, id_};
  if (job.plan) {
    for (const Participant& member : job.plan->value.members) status.members.push_back(to_string(member.worker));
  }
  if (job.outcome) {
    if (const auto outcome = job_outcome_from_json(job.outcome->value)) {
      status.state = outcome->state;
      status.reason = outcome->reason;
    }
    return put_status(now, job, status, actions) || tidies;
  }
  look_at_open_job(now, job, std::move(status), actions);
  return true;
}

void Coordinator::look_at_open_job(const Now& now, const JobRecords& job, JobStatus status,
                                   std::vector<Action>& actions) {
  if (put_outcome(now, job, JobState::kUnknown, actions)) return;
  if (!job.spec_error.empty() || !job.plan_error.empty()) {
    status.state = JobState::kWaiting;
    status.reason = job.spec_error.empty() ? "the current plan cannot be read: " + job.plan_error
                                           : "the job is refused: " + job.spec_error;
    put_status(now, job, status, actions);
    return;
  }
  if (!job.manifests_scanned && (!next_scan_.contains(job.name) || now.at >= next_scan_[job.name])) {
    next_scan_[job.name] = Instant::max();
    actions.emplace_back(ScanCheckpoints{job.name, job.spec->value});
  }
  put_born(now, job, actions);
  if (busy(now, view_.keys().current_plan(job.name))) return;
  Decision decision = decide(view_, job, memories_[job.name], now);
  if (put_outcome(now, job, decision.state, actions, decision.failure)) return;
  end_workers(now, job, decision.ends, actions);
  status.state = decision.state;
  status.reason = decision.reason;
  if (decision.plan) {
    const std::string text = to_json(*decision.plan);
    if (text.size() <= kMaxPlanBytes) {
      publish(*decision.plan, text, job, actions);
    } else {
      status.state = JobState::kWaiting;
      status.reason = "the plan would have " + std::to_string(text.size()) + " bytes, and may have at most " +
                      std::to_string(kMaxPlanBytes) + ": fewer workers or experts (" + decision.plan->reason + ")";
    }
  }
  status.notes = decision.notes;
  put_status(now, job, status, actions);
}

void Coordinator::fill(metrics::CoordinatorCounters& counters) const {
  counters.leading = leads();
  counters.nodes = static_cast<int>(view_.nodes().size());
  counters.free_nodes = 0;
  for (const auto& [id, node] : view_.nodes()) counters.free_nodes += view_.assignments().contains(id) ? 0 : 1;
  std::erase_if(counters.jobs, [&](const auto& entry) { return !view_.jobs().contains(entry.first); });
  for (const auto& [name, job] : view_.jobs()) {
    metrics::JobCounters& of_job = counters.jobs[name];
    if (job.plan) {
      const Plan& plan = job.plan->value;
      of_job.epoch = plan.epoch.value;
      of_job.members = static_cast<int>(plan.members.size());
      of_job.groups = static_cast<int>(plan.placement.groups.size());
      of_job.spares = of_job.members - plan.placement.num_ranks();
    }
    for (const auto& [node, progress] : job.progress) of_job.step = std::max(of_job.step, progress.value.step.value);
    const auto status = statuses_.find(name);
    of_job.waiting = status != statuses_.end() && status->second.state == JobState::kWaiting;
  }
}

}  // namespace regroup::coordinator
