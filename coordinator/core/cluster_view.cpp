#include "coordinator/core/cluster_view.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace regroup::coordinator {
namespace {

// The rest of `text` after `prefix`, when it starts with it.
std::optional<std::string> after(const std::string& text, const std::string& prefix) {
  if (text.compare(0, prefix.size(), prefix) != 0) return std::nullopt;
  return text.substr(prefix.size());
}

template <class T>
Seen<T> seen(T value, const KeyValue& kv, const Now& now, const Seen<T>* before) {
  const std::int64_t created = kv.create_revision != 0 ? kv.create_revision
                               : before != nullptr     ? before->create_revision
                                                       : kv.mod_revision;
  Seen<T> result{std::move(value), created, kv.mod_revision, kv.lease, now.at, now.at};
  if (before != nullptr && before->create_revision == created) {
    result.first_seen = before->first_seen;
    if (before->mod_revision == kv.mod_revision) result.last_changed = before->last_changed;
  }
  return result;
}

template <class Map, class Key, class T>
void keep(Map& map, const Key& key, T value, const KeyValue& kv, const Now& now) {
  auto found = map.find(key);
  auto entry = seen(std::move(value), kv, now, found == map.end() ? nullptr : &found->second);
  map.insert_or_assign(key, std::move(entry));
}

template <class T>
void keep(std::optional<Seen<T>>& slot, T value, const KeyValue& kv, const Now& now) {
  slot = seen(std::move(value), kv, now, slot ? &*slot : nullptr);
}

std::optional<std::int64_t> number_of(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

const Seen<LoadRecord>* JobRecords::newest_load() const {
  const Seen<LoadRecord>* newest = nullptr;
  for (const auto& [node, load] : loads) {
    const ModelShape& model = spec->value.model;
    if (static_cast<std::int64_t>(load.value.expert_load.size()) != model.num_hidden_layers * model.num_local_experts)
      continue;
    const auto age = [](const Seen<LoadRecord>& of) { return std::pair(of.value.epoch, of.value.step); };
    if (newest == nullptr || age(*newest) < age(load)) newest = &load;
  }
  return newest;
}

void ClusterView::apply(const WatchUpdate& update, const Now& now) {
  if (!update.connected) {
    connected_ = false;
    session_since_.reset();
    return;
  }
  if (update.reset || !connected_) session_since_.reset();
  connected_ = true;
  contact(now);
  if (update.reset) {
    complete_ = true;
    reset_revision_ = update.revision;
  }
  for (const WatchEvent& event : update.events) {
    if (const auto own = written_.find(event.kv.key); own != written_.end()) {
      if (event.kv.mod_revision < own->second) continue;
      written_.erase(own);
    }
    if (event.kind == WatchEvent::Kind::kPut) {
      put(event.kv, now);
    } else {
      erase(event.kv.key, event.kv.mod_revision, now);
    }
  }
}

void ClusterView::wrote(const std::vector<Op>& ops, std::int64_t revision, const Now& now) {
  for (const Op& op : ops) {
    written_[op.key] = revision;
    if (op.kind == Op::Kind::kPut) put({op.key, op.value, 0, revision, 0, op.lease}, now);
    if (op.kind == Op::Kind::kDelete) erase(op.key, revision, now);
  }
}

void ClusterView::contact(const Now& now) {
  if (!connected_) return;  // requests may succeed while the watch is cut, and then we do not see what changes
  if (!session_since_ || now.at - last_contact_ > timing_.contact_gap) session_since_ = now.at;
  last_contact_ = now.at;
}

Span ClusterView::session(const Now& now) const {
  if (!connected_ || !session_since_ || now.at - last_contact_ > timing_.contact_gap) return Span{0};
  return std::chrono::duration_cast<Span>(now.at - *session_since_);
}

void ClusterView::put(const KeyValue& kv, const Now& now) {
  unreadable_.erase(kv.key);
  const auto bad = [&](const Error& error) { unreadable_[kv.key] = error.context; };
  if (auto rest = after(kv.key, keys_.nodes())) {
    auto record = node_from_json(kv.value);
    const NodeId id(*rest);
    if (!record) {  // another protocol version, for example: the node counts as absent
      if (nodes_.erase(id) > 0) absences_[id] = {now.at, kv.mod_revision};
      return bad(record.error());
    }
    for (const WorkerRecord& worker : record->workers) {
      const auto job = jobs_.find(worker.job);
      if (job == jobs_.end()) continue;
      if (worker.state == WorkerState::kFinished) job->second.finished.insert(worker.id);
      job->second.in_force.hear(worker, now);
    }
    absences_.erase(id);
    keep(nodes_, id, std::move(*record), kv, now);
  } else if (auto rest = after(kv.key, keys_.notices())) {
    auto record = notice_from_json(kv.value);
    if (!record) return bad(record.error());
    keep(notices_, NodeId(*rest), std::move(*record), kv, now);
  } else if (auto rest = after(kv.key, keys_.suspects())) {
    auto record = suspect_from_json(kv.value);
    if (!record) return bad(record.error());
    keep(suspects_, *rest, std::move(*record), kv, now);
  } else if (auto rest = after(kv.key, keys_.assignments())) {
    auto record = assignment_from_json(kv.value);
    if (!record) return bad(record.error());
    keep(assignments_, NodeId(*rest), std::move(*record), kv, now);
  } else if (auto rest = after(kv.key, keys_.jobs())) {
    put_job(*rest, kv, now);
  }
}

void ClusterView::put_job(const std::string& rest, const KeyValue& kv, const Now& now) {
  const auto slash = rest.find('/');
  if (slash == std::string::npos) return;
  JobRecords& job = jobs_[rest.substr(0, slash)];
  job.name = rest.substr(0, slash);
  const std::string what = rest.substr(slash + 1);
  const auto bad = [&](const Error& error) { unreadable_[kv.key] = error.context; };
  if (what == "spec") {
    auto spec = job_from_json(kv.value);
    Result<void> good = spec ? check_job(*spec) : Result<void>(spec.error());
    job.spec_error = good ? "" : good.error().context;
    if (spec) {
      job.manifests_scanned = job.manifests_scanned || spec->snapshots.checkpoint_dir.empty();
      keep(job.spec, std::move(*spec), kv, now);
    } else {
      keep(job.spec, JobSpec{}, kv, now);
    }
  } else if (what == "plan/current") {
    auto plan = plan_from_json(kv.value);
    job.plan_error = plan ? "" : plan.error().context;
    if (plan) keep(job.plan, std::move(*plan), kv, now);
  } else if (auto epoch = after(what, "plan/")) {
    if (auto number = number_of(*epoch)) job.history[static_cast<std::uint64_t>(*number)] = kv.value;
  } else if (auto id = after(what, "wishes/")) {
    auto wish = wish_from_json(kv.value);
    if (!wish) return bad(wish.error());
    keep(job.wishes, *id, std::move(*wish), kv, now);
  } else if (what == "born") {
    auto born = born_from_json(kv.value);
    keep(job.born, born ? std::move(*born) : BornRecord{}, kv, now);  // that it is there is what counts
  } else if (auto id = after(what, "progress/")) {
    auto record = progress_from_json(kv.value);
    if (!record) return bad(record.error());
    job.in_force.hear(*record, now);
    keep(job.progress, NodeId(*id), std::move(*record), kv, now);
  } else if (auto id = after(what, "load/")) {
    auto record = load_from_json(kv.value);
    if (!record) return bad(record.error());
    keep(job.loads, NodeId(*id), std::move(*record), kv, now);
  } else if (auto step = after(what, "checkpoints/")) {
    auto record = checkpoint_from_json(kv.value);
    if (!record) return bad(record.error());
    job.checkpoints[record->step] = std::move(*record);
  } else if (what == "outcome") {
    keep(job.outcome, kv.value, kv, now);
  } else if (what == "status") {
    keep(job.status, kv.value, kv, now);
  }
}

void ClusterView::erase(const std::string& key, std::int64_t revision, const Now& now) {
  unreadable_.erase(key);
  if (auto rest = after(key, keys_.nodes())) {
    const NodeId id(*rest);
    if (nodes_.erase(id) > 0) absences_[id] = {now.at, std::max(revision, reset_revision_)};
  } else if (auto rest = after(key, keys_.notices())) {
    notices_.erase(NodeId(*rest));
  } else if (auto rest = after(key, keys_.suspects())) {
    suspects_.erase(*rest);
  } else if (auto rest = after(key, keys_.assignments())) {
    assignments_.erase(NodeId(*rest));
  } else if (auto rest = after(key, keys_.jobs())) {
    erase_job(*rest);
  }
}

void ClusterView::erase_job(const std::string& rest) {
  const auto slash = rest.find('/');
  if (slash == std::string::npos) return;
  auto found = jobs_.find(rest.substr(0, slash));
  if (found == jobs_.end()) return;
  JobRecords& job = found->second;
  const std::string what = rest.substr(slash + 1);
  if (what == "spec") {
    job.spec.reset();
    job.spec_error.clear();
    job.manifests_scanned = false;
  } else if (what == "plan/current") {
    job.plan.reset();
    job.plan_error.clear();
    job.in_force.forget_epoch();
  } else if (auto epoch = after(what, "plan/")) {
    if (auto number = number_of(*epoch)) job.history.erase(static_cast<std::uint64_t>(*number));
  } else if (auto id = after(what, "wishes/")) {
    job.wishes.erase(*id);
  } else if (what == "born") {
    job.born.reset();
  } else if (auto id = after(what, "progress/")) {
    job.progress.erase(NodeId(*id));
  } else if (auto id = after(what, "load/")) {
    job.loads.erase(NodeId(*id));
  } else if (auto step = after(what, "checkpoints/")) {
    if (auto number = number_of(*step)) job.checkpoints.erase(Step(*number));
  } else if (what == "outcome") {
    job.outcome.reset();
  } else if (what == "status") {
    job.status.reset();
  }
  const bool empty = !job.spec && !job.plan && job.history.empty() && job.wishes.empty() && !job.born &&
                     job.progress.empty() && job.loads.empty() && job.checkpoints.empty() && !job.outcome &&
                     !job.status;
  if (empty) jobs_.erase(found);
}

void ClusterView::scanned(const std::string& name, const std::optional<CheckpointRecord>& found,
                          const std::string& problem) {
  auto job = jobs_.find(name);
  if (job == jobs_.end()) return;
  job->second.manifests_scanned = problem.empty();
  job->second.scan_problem = problem;
  if (found) job->second.checkpoints.try_emplace(found->step, *found);
}

const NodeRecord* ClusterView::node(const NodeId& id) const {
  const auto found = nodes_.find(id);
  return found == nodes_.end() ? nullptr : &found->second.value;
}

const WorkerRecord* ClusterView::slot_of(const WorkerId& id) const {
  const NodeRecord* record = node(id.node);
  if (record == nullptr) return nullptr;
  for (const WorkerRecord& worker : record->workers) {
    if (worker.id.slot == id.slot) return &worker;
  }
  return nullptr;
}

std::optional<Absence> ClusterView::absence(const NodeId& id) const {
  if (nodes_.contains(id)) return std::nullopt;
  const auto found = absences_.find(id);
  if (found != absences_.end()) return found->second;
  return Absence{session_since_.value_or(last_contact_), reset_revision_};
}

}  // namespace regroup::coordinator
