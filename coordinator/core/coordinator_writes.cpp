// Coordinator, second part: what it writes, and under which conditions.
#include "base/check.hpp"
#include "coordinator/core/coordinator.hpp"
#include "coordinator/core/outcome.hpp"
#include "coordinator/core/tidying.hpp"

#include <algorithm>
#include <utility>

namespace regroup::coordinator {
namespace {

Compare same_mod(const std::string& key, std::int64_t revision) {
  return {key, Compare::Target::kModRevision, revision, ""};
}
Compare same_create(const std::string& key, std::int64_t revision) {
  return {key, Compare::Target::kCreateRevision, revision, ""};
}
Op put(const std::string& key, const std::string& value) { return {Op::Kind::kPut, key, value, 0}; }
Op remove(const std::string& key) { return {Op::Kind::kDelete, key, "", 0}; }

}  // namespace

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

void Coordinator::publish(const Plan& plan, const std::string& text, const JobRecords& job,
                          std::vector<Action>& actions) {
  const Keys& keys = view_.keys();
  const std::string current = keys.current_plan(job.name), of_epoch = keys.plan(job.name, plan.epoch);
  const Epoch before = job.plan ? job.plan->value.epoch : Epoch{};
  CHECK(before < plan.epoch && plan.parent == before, "plan", plan.epoch.value, "with parent", plan.parent.value,
        "after plan", before.value);
  Write& write = start(Write::Kind::kPublishPlan, job.name, current, actions);
  write.when.push_back(same_mod(current, job.plan ? job.plan->mod_revision : 0));
  write.when.push_back(same_create(keys.spec(job.name), job.spec->create_revision));
  write.when.push_back(same_create(keys.outcome(job.name), 0));
  write.when.push_back(same_create(of_epoch, 0));
  write.value = to_json(pointer_to(plan.epoch, text));
  write.then.push_back(put(of_epoch, text));
  write.then.push_back(put(current, write.value));
  // A plan that may begin from initial weights must not pass the news that there is something to lose.
  if (plan.origin == Origin::kFresh) write.when.push_back(same_create(keys.born(job.name), 0));
  write.reason = plan.reason;
  write.plan = plan;
}

void Coordinator::end_workers(const Now& now, const JobRecords& job, const std::vector<WorkerId>& workers,
                              std::vector<Action>& actions) {
  for (const WorkerId& worker : workers) {
    const std::string key = view_.keys().assignment(worker.node);
    const auto known = view_.assignments().find(worker.node);
    if (known == view_.assignments().end() || busy(now, key)) continue;
    const AssignmentRecord& asked = known->second.value;  // one worker of a node at a time
    if (asked.ends && asked.ends_in == job.plan->value.epoch &&
        std::find(workers.begin(), workers.end(), *asked.ends) != workers.end())
      continue;
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

bool Coordinator::put_status(const Now& now, const JobRecords& job, const JobStatus& status,
                             std::vector<Action>& actions) {
  statuses_[job.name] = status;
  const std::string key = view_.keys().status(job.name);
  const std::string text = to_json(status);
  if (job.status && job.status->value == text) return false;
  if (busy(now, key)) return true;
  Write& write = start(Write::Kind::kStatus, job.name, key, actions);
  write.when.push_back(same_create(view_.keys().spec(job.name), job.spec->create_revision));
  write.then.push_back(put(key, text));
  write.value = text;
  write.reason = to_string(status.state) + ": " + status.reason;
  return true;
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

bool Coordinator::tidy(const Now& now, const JobRecords& job, std::vector<Action>& actions) {
  const std::vector<Removal> all = removals(view_, job);
  for (const Removal& removal : all) {
    const std::string& key = removal.keys.front();
    if (busy(now, key)) continue;
    Write& write = start(Write::Kind::kRemove, job.name, key, actions);
    if (removal.mod_revision) write.when.push_back(same_mod(key, *removal.mod_revision));
    for (const std::string& gone : removal.keys) write.then.push_back(remove(gone));
    write.reason = removal.reason;
  }
  return !all.empty();
}

void Coordinator::assign(const Now& now, std::vector<Action>& actions) {
  for (const AssignmentChange& change : assign_nodes(view_, open_jobs_, now)) {
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

}  // namespace regroup::coordinator
