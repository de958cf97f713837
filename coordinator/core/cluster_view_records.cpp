// ClusterView, second part: what a key that comes, changes or goes does to it.
#include "base/overload.hpp"
#include "coordinator/core/cluster_view.hpp"

#include <algorithm>
#include <utility>
#include <variant>

namespace regroup::coordinator {

bool ClusterView::put(const KeyValue& kv, const Now& now) {
  unreadable_.erase(kv.key);
  const auto key = keys_.parse(kv.key);
  if (!key) return false;
  bool is_news = true;
  JobRecords* job = nullptr;
  if (const std::string* name = job_in(*key)) {
    job = &jobs_[*name];
    job->name = *name;
    job_keys_[*name].insert(kv.key);
    changed_jobs_.insert(*name);
  }
  const auto read = [&](auto parse, auto take) {
    if (auto record = parse(kv.value)) {
      take(std::move(*record));
    } else {
      unreadable_[kv.key] = record.error().context;
    }
  };
  // Reads a record and keeps it in `map`.
  const auto keep_in = [&](auto& map, const auto& name, auto parse) {
    read(parse, [&](auto record) { keep(map, name, std::move(record), kv, now); });
  };
  std::visit(Overload{
                 [&](const key::Node& at) { put_node(at.node, kv, now); },
                 [&](const key::Notice& at) { keep_in(notices_, at.node, notice_from_json); },
                 [&](const key::Suspect& at) {
                   read(suspect_from_json, [&](SuspectRecord record) {
                     std::vector<SuspicionSaid> said;
                     for (const Suspicion& s : record.suspicions) said.emplace_back(s.whom, record.epoch, s.evidence);
                     suspicions_said_[at.reporter].says(said, now.at);
                     keep(suspects_, at.reporter, std::move(record), kv, now);
                   });
                 },
                 [&](const key::Assignment& at) { keep_in(assignments_, at.node, assignment_from_json); },
                 [&](const key::Candidate&) { is_news = false; },
                 [&](const key::Spec&) { put_spec(*job, kv, now); },
                 [&](const key::CurrentPlan&) {
                   job->current = kv;
                   read_plan(*job, now);
                 },
                 [&](const key::PlanOfEpoch& at) {
                   std::string& text = job->history[at.epoch.value];
                   if (text == kv.value) return;
                   text = kv.value;
                   if (job->names(at.epoch)) read_plan(*job, now);
                 },
                 [&](const key::Born&) {
                   auto born = born_from_json(kv.value);
                   keep(job->born, born ? std::move(*born) : BornRecord{}, kv, now);  // that it is there is what counts
                 },
                 [&](const key::Wish& at) { keep_in(job->wishes, at.id, wish_from_json); },
                 [&](const key::Progress& at) {
                   read(progress_from_json, [&](ProgressRecord record) {
                     job->in_force.hear(record, now);
                     is_news = job->is_news(at.node, record);
                     keep(job->progress, at.node, std::move(record), kv, now);
                   });
                 },
                 [&](const key::Load& at) {
                   keep_in(job->loads, at.node, load_from_json);
                   is_news = false;
                 },
                 [&](const key::Checkpoint&) {
                   read(checkpoint_from_json,
                        [&](CheckpointRecord record) { job->checkpoints[record.step] = std::move(record); });
                 },
                 [&](const key::Outcome&) { keep(job->outcome, kv.value, kv, now); },
                 [&](const key::Status&) { keep(job->status, kv.value, kv, now); },
             },
             *key);
  return is_news;
}

void ClusterView::put_node(const NodeId& id, const KeyValue& kv, const Now& now) {
  auto record = node_from_json(kv.value);
  if (!record) {  // such as another protocol version: as good as absent
    unreadable_[kv.key] = record.error().context;
    if (nodes_.erase(id) > 0) absences_[id] = {now.at, kv.mod_revision};
    return;
  }
  std::vector<StateSaid> said;
  for (const WorkerRecord& worker : record->workers) {
    said.emplace_back(worker.id, worker.epoch, worker.state, worker.lacks);
    const auto job = jobs_.find(worker.job);
    if (job == jobs_.end()) continue;
    if (worker.state == WorkerState::kFinished) job->second.finished.insert(worker.id);
    job->second.in_force.hear(worker, now);
  }
  states_said_[id].says(said, now.at);
  absences_.erase(id);
  keep(nodes_, id, std::move(*record), kv, now);
}

void ClusterView::put_spec(JobRecords& job, const KeyValue& kv, const Now& now) {
  auto spec = job_from_json(kv.value);
  Result<void> good = spec ? check_job(*spec) : Result<void>(spec.error());
  job.spec_error = good ? "" : good.error().context;
  if (spec) {
    job.manifests_scanned = job.manifests_scanned || spec->snapshots.checkpoint_dir.empty();
    keep(job.spec, std::move(*spec), kv, now);
  } else {
    keep(job.spec, JobSpec{}, kv, now);
  }
}

void ClusterView::read_plan(JobRecords& job, const Now& now) {
  auto plan = current_plan(job.current->value, job.history);
  job.plan_error = plan ? "" : plan.error().context;
  if (plan) keep(job.plan, std::move(*plan), *job.current, now);
}

void ClusterView::erase(const std::string& text, std::int64_t revision, const Now& now) {
  unreadable_.erase(text);
  const auto key = keys_.parse(text);
  if (!key) return;
  const std::string* name = job_in(*key);
  const auto found = name != nullptr ? jobs_.find(*name) : jobs_.end();
  if (name != nullptr && found == jobs_.end()) return;
  JobRecords* job = name != nullptr ? &found->second : nullptr;
  if (name != nullptr) changed_jobs_.insert(*name);
  std::visit(Overload{
                 [&](const key::Node& at) {
                   states_said_.erase(at.node);
                   if (nodes_.erase(at.node) > 0) absences_[at.node] = {now.at, std::max(revision, reset_revision_)};
                 },
                 [&](const key::Notice& at) { notices_.erase(at.node); },
                 [&](const key::Suspect& at) {
                   suspects_.erase(at.reporter);
                   suspicions_said_.erase(at.reporter);
                 },
                 [&](const key::Assignment& at) { assignments_.erase(at.node); },
                 [](const key::Candidate&) {},
                 [&](const key::Spec&) {
                   job->spec.reset();
                   job->spec_error.clear();
                   job->manifests_scanned = false;
                 },
                 [&](const key::CurrentPlan&) {
                   job->current.reset();
                   job->plan.reset();
                   job->plan_error.clear();
                   job->in_force.forget_epoch();
                 },
                 [&](const key::PlanOfEpoch& at) {
                   job->history.erase(at.epoch.value);
                   if (job->names(at.epoch)) read_plan(*job, now);
                 },
                 [&](const key::Born&) { job->born.reset(); },
                 [&](const key::Wish& at) { job->wishes.erase(at.id); },
                 [&](const key::Progress& at) { job->progress.erase(at.node); },
                 [&](const key::Load& at) { job->loads.erase(at.node); },
                 [&](const key::Checkpoint& at) { job->checkpoints.erase(at.step); },
                 [&](const key::Outcome&) { job->outcome.reset(); },
                 [&](const key::Status&) { job->status.reset(); },
             },
             *key);
  if (job == nullptr) return;
  std::set<std::string>& left = job_keys_[*name];
  left.erase(text);
  if (!left.empty()) return;
  job_keys_.erase(*name);
  jobs_.erase(found);
}

}  // namespace regroup::coordinator
