#include "coordinator/core/coordinator.hpp"

#include "base/check.hpp"
#include "base/overload.hpp"
#include "coordinator/core/outcome.hpp"
#include "coordinator/core/tidying.hpp"

#include <algorithm>
#include <utility>

namespace regroup::coordinator {
namespace {

constexpr std::size_t kMaxPlanBytes = 1 << 20;

Compare same_mod(const std::string& key, std::int64_t revision) {
  return {key, Compare::Target::kModRevision, revision, ""};
}
Compare same_create(const std::string& key, std::int64_t revision) {
  return {key, Compare::Target::kCreateRevision, revision, ""};
}
Op put(const std::string& key, const std::string& value) { return {Op::Kind::kPut, key, value, 0}; }
Op remove(const std::string& key) { return {Op::Kind::kDelete, key, "", 0}; }

}  // namespace

Coordinator::Coordinator(const std::string& cluster, std::string id, const Timing& timing)
    : view_(cluster, timing), id_(std::move(id)) {}

std::vector<Action> Coordinator::step(const Now& now, const Event& event) {
  take(now, event);
  std::vector<Action> actions;
  if (!leader_ || !view_.complete()) return actions;
  for (const auto& [name, job] : view_.jobs()) look_at_job(now, job, actions);
  assign(now, actions);
  for (const Action& action : actions) {
    if (const auto* write = std::get_if<Write>(&action)) in_flight_[write->id] = {write->key, write->then};
  }
  return actions;
}

void Coordinator::take(const Now& now, const Event& event) {
  std::visit(Overload{
                 [&](const StoreUpdate& e) { view_.apply(e.update, now); },
                 [&](const EtcdContact&) { view_.contact(now); },
                 [&](const LeadershipGained& e) {
                   leader_ = e;
                   in_flight_.clear();
                   keys_in_flight_.clear();
                   not_before_.clear();
                   memories_.clear();
                   next_scan_.clear();
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

bool Coordinator::busy(const Now& now, const std::string& key) const {
  const auto wait = not_before_.find(key);
  if (wait != not_before_.end() && now.at < wait->second) return true;
  return keys_in_flight_.contains(key);
}

Write& Coordinator::start(Write::Kind kind, const std::string& job, const std::string& key,
                          std::vector<Action>& actions) {
  CHECK(leader_.has_value(), "a write without leadership:", key);
  CHECK(keys_in_flight_.insert(key).second, "two writes under way of", key);
  Write write;
  write.kind = kind;
  write.id = next_id_++;
  write.job = job;
  write.key = key;
  write.when.push_back(same_create(leader_->key, leader_->create_revision));
  in_flight_[write.id] = {key, {}};
  actions.emplace_back(std::move(write));
  return std::get<Write>(actions.back());
}

void Coordinator::look_at_job(const Now& now, const JobRecords& job, std::vector<Action>& actions) {
  if (!job.spec) return;
  tidy(now, job, actions);
  JobStatus status{JobState::kUnknown, "", job.plan ? job.plan->value.epoch : Epoch{}, {}, {}, id_};
  if (job.plan) {
    for (const Participant& member : job.plan->value.members) status.members.push_back(to_string(member.worker));
  }
  if (job.outcome) {
    if (const auto outcome = job_outcome_from_json(job.outcome->value)) {
      status.state = outcome->state;
      status.reason = outcome->reason;
    }
    return put_status(now, job, status, actions);
  }
  if (put_outcome(now, job, JobState::kUnknown, actions)) return;
  if (!job.spec_error.empty() || !job.plan_error.empty()) {
    status.state = JobState::kWaiting;
    status.reason = job.spec_error.empty() ? "the current plan cannot be read: " + job.plan_error
                                           : "the job is refused: " + job.spec_error;
    return put_status(now, job, status, actions);
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
  if (decision.plan && !publish(*decision.plan, job, actions)) {
    status.state = JobState::kWaiting;
    status.reason = "the plan would have more than 1 MiB, which etcd does not take: fewer workers or experts (" +
                    decision.plan->reason + ")";
  }
  status.notes = decision.notes;
  put_status(now, job, status, actions);
}

bool Coordinator::publish(const Plan& plan, const JobRecords& job, std::vector<Action>& actions) {
  const Keys& keys = view_.keys();
  const std::string current = keys.current_plan(job.name);
  std::string text = to_json(plan);
  if (text.size() > kMaxPlanBytes) return false;
  const Epoch before = job.plan ? job.plan->value.epoch : Epoch{};
  CHECK(before < plan.epoch && plan.parent == before, "plan", plan.epoch.value, "with parent", plan.parent.value,
        "after plan", before.value);
  Write& write = start(Write::Kind::kPublishPlan, job.name, current, actions);
  write.when.push_back(same_mod(current, job.plan ? job.plan->mod_revision : 0));
  write.when.push_back(same_create(keys.spec(job.name), job.spec->create_revision));
  write.when.push_back(same_create(keys.outcome(job.name), 0));
  write.then.push_back(put(current, text));
  write.then.push_back(put(keys.plan(job.name, plan.epoch), text));
  // A plan that may begin from initial weights must not pass the news that there is something to lose.
  if (plan.origin == Origin::kFresh) write.when.push_back(same_create(keys.born(job.name), 0));
  write.value = text;
  write.reason = plan.reason;
  write.plan = plan;
  return true;
}

void Coordinator::end_workers(const Now& now, const JobRecords& job, const std::vector<WorkerId>& workers,
                              std::vector<Action>& actions) {
  for (const WorkerId& worker : workers) {
    const std::string key = view_.keys().assignment(worker.node);
    const auto known = view_.assignments().find(worker.node);
    if (known == view_.assignments().end() || known->second.value.ends == worker || busy(now, key)) continue;
    Write& write = start(Write::Kind::kEnd, job.name, key, actions);
    write.when.push_back(same_mod(key, known->second.mod_revision));
    write.when.push_back(same_mod(view_.keys().current_plan(job.name), job.plan->mod_revision));
    write.value = to_json(AssignmentRecord{job.name, worker, job.plan->value.epoch});
    write.then.push_back(put(key, write.value));
    write.reason = "no plan can go on without " + to_string(worker) + ", which is lost: its agent shall replace it";
  }
}

// From here on nobody starts this job from initial weights again: every vote of a committed step said that a complete
// snapshot is in safety, or there is a checkpoint.
void Coordinator::put_born(const Now& now, const JobRecords& job, std::vector<Action>& actions) {
  const bool safe = std::any_of(job.progress.begin(), job.progress.end(),
                                [](const auto& progress) { return progress.second.value.safe >= Step(0); });
  const std::string key = view_.keys().born(job.name);
  if (job.born || !job.plan || (!safe && job.checkpoints.empty()) || busy(now, key)) return;
  Write& write = start(Write::Kind::kBorn, job.name, key, actions);
  write.when.push_back(same_create(key, 0));
  write.when.push_back(same_create(view_.keys().spec(job.name), job.spec->create_revision));
  write.value = to_json(BornRecord{job.plan->value.epoch});
  write.then.push_back(put(key, write.value));
  write.reason = "state of the job is in safety: from now on it never starts from initial weights";
}

void Coordinator::put_status(const Now& now, const JobRecords& job, const JobStatus& status,
                             std::vector<Action>& actions) {
  statuses_[job.name] = status;
  const std::string key = view_.keys().status(job.name);
  const std::string text = to_json(status);
  if ((job.status && job.status->value == text) || busy(now, key)) return;
  Write& write = start(Write::Kind::kStatus, job.name, key, actions);
  write.when.push_back(same_create(view_.keys().spec(job.name), job.spec->create_revision));
  write.then.push_back(put(key, text));
  write.value = text;
  write.reason = to_string(status.state) + ": " + status.reason;
}

bool Coordinator::put_outcome(const Now& now, const JobRecords& job, JobState state, std::vector<Action>& actions,
                              const std::string& failure) {
  const auto outcome = outcome_of(view_, job, state, now, failure);
  if (!outcome) return false;
  const std::string key = view_.keys().outcome(job.name);
  if (busy(now, key)) return true;
  Write& write = start(Write::Kind::kOutcome, job.name, key, actions);
  write.when.push_back(same_create(key, 0));
  write.when.push_back(same_create(view_.keys().spec(job.name), job.spec->create_revision));
  write.value = to_json(*outcome);
  write.then.push_back(put(key, write.value));
  write.reason = to_string(outcome->state) + ": " + outcome->reason;
  return true;
}

void Coordinator::tidy(const Now& now, const JobRecords& job, std::vector<Action>& actions) {
  for (const Removal& removal : removals(view_, job)) {
    const std::string& key = removal.keys.front();
    if (busy(now, key)) continue;
    Write& write = start(Write::Kind::kRemove, job.name, key, actions);
    if (removal.mod_revision) write.when.push_back(same_mod(key, *removal.mod_revision));
    for (const std::string& gone : removal.keys) write.then.push_back(remove(gone));
    write.reason = removal.reason;
  }
}

void Coordinator::assign(const Now& now, std::vector<Action>& actions) {
  for (const AssignmentChange& change : assign_nodes(view_, now)) {
    const std::string key = view_.keys().assignment(change.node);
    if (busy(now, key)) continue;
    const auto known = view_.assignments().find(change.node);
    Write& write = start(change.job.empty() ? Write::Kind::kUnassign : Write::Kind::kAssign, change.job, key, actions);
    write.when.push_back(same_mod(key, known == view_.assignments().end() ? 0 : known->second.mod_revision));
    if (change.job.empty()) {
      write.then.push_back(remove(key));
    } else {
      write.value = to_json(AssignmentRecord{change.job});
      write.then.push_back(put(key, write.value));
    }
    write.reason = change.reason;
  }
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
