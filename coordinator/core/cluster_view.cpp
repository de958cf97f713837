#include "coordinator/core/cluster_view.hpp"

#include <algorithm>
#include <utility>

namespace regroup::coordinator {
bool ClusterView::apply(const WatchUpdate& update, const Now& now) {
  if (!update.connected) {
    connected_ = false;
    session_since_.reset();
    return true;
  }
  if (update.reset || !connected_) session_since_.reset();
  connected_ = true;
  contact(now);
  if (update.reset) {
    complete_ = true;
    reset_revision_ = update.revision;
  }
  bool is_news = update.reset;
  for (const WatchEvent& event : update.events) {
    if (const auto own = written_.find(event.kv.key); own != written_.end()) {
      if (event.kv.mod_revision < own->second) continue;
      written_.erase(own);
    }
    if (event.kind == WatchEvent::Kind::kPut) {
      is_news = put(event.kv, now) || is_news;
    } else {
      erase(event.kv.key, event.kv.mod_revision, now);
      is_news = true;
    }
  }
  return is_news;
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

Instant ClusterView::within_session(std::optional<Instant> since, const Now& now) const {
  return std::max(since.value_or(now.at), now.at - session(now));
}

Instant ClusterView::state_since(const WorkerRecord& record, const Now& now) const {
  const auto said = states_said_.find(record.id.node);
  if (said == states_said_.end()) return now.at;
  return within_session(said->second.since({record.id, record.epoch, record.state, record.lacks}), now);
}

Instant ClusterView::suspected_since(const SuspectRecord& by, const Suspicion& suspicion, const Now& now) const {
  const auto said = suspicions_said_.find(by.reporter);
  if (said == suspicions_said_.end()) return now.at;
  return within_session(said->second.since({suspicion.whom, by.epoch, suspicion.evidence}), now);
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
