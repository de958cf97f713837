#include "agent/node_lease.hpp"

#include "api/records.hpp"
#include "base/log.hpp"

#include <utility>

namespace regroup::agent {

NodeLease::NodeLease(Store& store, NodeLeaseOptions options, NodeLeaseEvents events, std::function<void()> wake)
    : store_(store), options_(std::move(options)), events_(std::move(events)), wake_(std::move(wake)) {}

bool NodeLease::take(const std::optional<std::string>& node_record) {
  drop_lost();
  return have_lease() && (claimed_ || (node_record && claim(*node_record)));
}

std::shared_ptr<Lease> NodeLease::lease() const {
  const LockGuard lock(mutex_);
  return lease_;
}

std::string NodeLease::trouble() const {
  const LockGuard lock(mutex_);
  return trouble_;
}

void NodeLease::set_trouble(const std::string& text) {
  const LockGuard lock(mutex_);
  trouble_ = text;
}

std::int64_t NodeLease::id() const {
  const auto held = lease();
  return held ? held->id() : 0;
}

void NodeLease::leave() {
  std::shared_ptr<Lease> lease;
  {
    const LockGuard lock(mutex_);
    left_ = true;
    lease = std::exchange(lease_, nullptr);
  }
  registered_ = false;
  if (!lease || lease->lost()) return;
  if (const auto gone = lease->revoke(); !gone)
    log::warn("registration_not_revoked", {{"error", to_string(gone.error())}, {"note", "it ends with its lease"}});
}

void NodeLease::drop_lost() {
  std::shared_ptr<Lease> lost;
  {
    const LockGuard lock(mutex_);
    if (!lost_ && !(lease_ && lease_->lost())) return;
    lost = std::exchange(lease_, nullptr);
  }
  registered_ = claimed_ = false;
  log::warn("lease_lost", {{"key", options_.node_key}, {"note", "workers go on; the node registers again"}});
  lost.reset();  // waits for a callback that is under way; none comes after it
  lost_ = false;
  events_.lost();
}

bool NodeLease::have_lease() {
  if (lease()) return true;
  auto granted = store_.grant(options_.ttl, [this] {
    lost_ = true;
    wake_();
  });
  if (!granted) {
    log::warn_often("lease_not_granted", {{"error", to_string(granted.error())}});
    set_trouble(granted.error().context);
    return false;
  }
  const LockGuard lock(mutex_);
  if (left_) return false;
  lease_ = std::move(*granted);
  return true;
}

bool NodeLease::left_by_us(const std::string& text) const {
  const auto record = node_from_json(text);
  if (!record) return false;
  const auto word = record->labels.find("word");
  return record->incarnation == options_.incarnation ||
         (word != record->labels.end() && !word->second.empty() && word->second == options_.word_before);
}

bool NodeLease::claim(const std::string& node_record) {
  const auto held = lease();
  if (!held) return false;
  const auto present = store_.get(options_.node_key);
  Result<TxnResult> taken = Error{Code::kConflict, "another agent holds " + options_.node_key};
  std::string holder;
  if (!present && present.error().code != Code::kNotFound) {
    taken = present.error();
  } else if (!present || left_by_us(present->value)) {
    const std::int64_t revision = present ? present->mod_revision : 0;
    taken = store_.txn({{options_.node_key, Compare::Target::kModRevision, revision, ""}},
                       {{Op::Kind::kPut, options_.node_key, node_record, held->id()}});
    if (taken && !taken->succeeded) taken = Error{Code::kConflict, "somebody was faster"};
  } else if (const auto other = node_from_json(present->value)) {
    const auto host = other->labels.find("host");
    holder = other->agent_address + (host == other->labels.end() ? "" : " on host " + host->second);
  }
  if (taken) {
    claimed_ = registered_ = true;
    conflict_since_.reset();
    set_trouble("");
    log::info("registered", {{"key", options_.node_key}, {"lease_ms", held->ttl().count()}});
    return true;
  }
  set_trouble(taken.error().context);
  if (holder.empty()) {
    log::warn_often("not_registered", {{"error", to_string(taken.error())}});
    return false;
  }
  const auto now = std::chrono::steady_clock::now();
  if (!conflict_since_) conflict_since_ = now;
  if (now - *conflict_since_ > 2 * held->ttl() + std::chrono::seconds(1) && !refused_) {
    refused_ = true;
    events_.refused("the name " + options_.node_key.substr(options_.node_key.rfind('/') + 1) +
                    " is held by another live agent (" + holder + "); give this node another one with --node");
  }
  return false;
}

}  // namespace regroup::agent
