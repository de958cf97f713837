#include "agent/registration.hpp"

#include "api/records.hpp"
#include "base/log.hpp"

#include <vector>

namespace regroup::agent {
namespace {

constexpr std::size_t kOpsPerTransaction = 64;  // etcd refuses more than 128

}  // namespace

Registration::Registration(Store& store, RegistrationOptions options, RegistrationEvents events)
    : store_(store), options_(std::move(options)), events_(std::move(events)), thread_([this] { run(); }) {}

Registration::~Registration() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Registration::put_leased(const std::string& key, std::string value) {
  const std::lock_guard lock(mutex_);
  leased_[key] = value;
  leased_news_[key] = std::move(value);
  changed_.notify_all();
}

void Registration::put_lasting(const std::string& key, std::string value) {
  const std::lock_guard lock(mutex_);
  lasting_news_[key] = std::move(value);
  changed_.notify_all();
}

void Registration::erase_leased(const std::string& key) {
  const std::lock_guard lock(mutex_);
  if (leased_.erase(key) == 0) return;
  leased_news_[key] = std::nullopt;
  changed_.notify_all();
}

void Registration::leave() {
  std::shared_ptr<Lease> lease;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    lease = std::exchange(lease_, nullptr);
  }
  changed_.notify_all();
  registered_ = false;
  if (!lease || lease->lost()) return;
  if (const auto gone = lease->revoke(); !gone)
    log::warn("registration_not_revoked", {{"error", to_string(gone.error())}, {"note", "it ends with its lease"}});
}

void Registration::pause(std::unique_lock<std::mutex>& lock) {
  changed_.wait_for(lock, options_.retry, [&] { return stopped_; });
}

void Registration::run() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    // Without a node record to write there is nothing to register yet.
    changed_.wait(lock, [&] { return stopped_ || lease_lost_ || !leased_news_.empty() || !lasting_news_.empty(); });
    if (stopped_) return;
    if (!have_lease(lock) || (!claimed_ && !claim_node(lock))) {
      if (!stopped_) pause(lock);
      continue;
    }
    write_some(lock);
  }
}

bool Registration::have_lease(std::unique_lock<std::mutex>& lock) {
  if (lease_lost_.exchange(false) || (lease_ && lease_->lost())) {
    auto lost = std::exchange(lease_, nullptr);
    registered_ = false;
    claimed_ = false;
    lock.unlock();
    log::warn("lease_lost", {{"key", options_.node_key}, {"note", "workers go on; the node registers again"}});
    lost.reset();  // may wait for its callback, which wants the lock
    events_.on_lease_lost();
    lock.lock();
  }
  if (lease_) return true;
  lock.unlock();
  auto granted = store_.grant(options_.lease_ttl, [this] {
    lease_lost_ = true;
    const std::lock_guard guard(mutex_);
    changed_.notify_all();
  });
  lock.lock();
  if (!granted) {
    log::warn("lease_not_granted", {{"error", to_string(granted.error())}});
    return false;
  }
  lease_ = std::move(*granted);
  for (const auto& [key, value] : leased_) leased_news_[key] = value;
  return true;
}

bool Registration::left_by_us(const std::string& text) const {
  const auto record = node_from_json(text);
  if (!record) return false;
  const auto label = [&](const char* name) {
    const auto found = record->labels.find(name);
    return found == record->labels.end() ? std::string() : found->second;
  };
  return record->incarnation == options_.incarnation ||
         (label("host") == options_.host && label("directory") == options_.directory);
}

bool Registration::claim_node(std::unique_lock<std::mutex>& lock) {
  const auto record = leased_.find(options_.node_key);
  if (record == leased_.end()) return false;
  const std::string value = record->second;
  const auto lease = lease_;
  lock.unlock();
  const auto present = store_.get(options_.node_key);
  Result<TxnResult> taken = Error{Code::kConflict, "another agent holds " + options_.node_key};
  std::string holder;
  if (!present && present.error().code != Code::kNotFound) {
    taken = present.error();
  } else if (!present || left_by_us(present->value)) {
    const std::int64_t revision = present ? present->mod_revision : 0;
    taken = store_.txn({{options_.node_key, Compare::Target::kModRevision, revision, ""}},
                       {{Op::Kind::kPut, options_.node_key, value, lease->id()}});
    if (taken && !taken->succeeded) taken = Error{Code::kConflict, "somebody was faster"};
  } else if (const auto other = node_from_json(present->value)) {
    const auto host = other->labels.find("host");
    holder = other->agent_address + (host == other->labels.end() ? "" : " on host " + host->second);
  }
  lock.lock();
  if (taken) {
    claimed_ = registered_ = true;
    conflict_since_.reset();
    log::info("registered", {{"key", options_.node_key}, {"lease_ms", lease->ttl().count()}});
    return true;
  }
  if (holder.empty()) {
    log::warn("not_registered", {{"error", to_string(taken.error())}});
    return false;
  }
  const auto now = std::chrono::steady_clock::now();
  if (!conflict_since_) conflict_since_ = now;
  if (now - *conflict_since_ > 2 * lease->ttl() + std::chrono::seconds(1) && !refused_) {
    refused_ = true;
    lock.unlock();
    events_.on_refused("the name " + options_.node_key.substr(options_.node_key.rfind('/') + 1) +
                       " is held by another live agent (" + holder + "); give this node another one with --node");
    lock.lock();
  }
  return false;
}

void Registration::write_some(std::unique_lock<std::mutex>& lock) {
  std::vector<Op> ops;
  std::map<std::string, std::optional<std::string>> leased;
  std::map<std::string, std::string> lasting;
  while (!leased_news_.empty() && ops.size() < kOpsPerTransaction) {
    auto node = leased_news_.extract(leased_news_.begin());
    ops.push_back(node.mapped() ? Op{Op::Kind::kPut, node.key(), *node.mapped(), lease_->id()}
                                : Op{Op::Kind::kDelete, node.key(), "", 0});
    leased.insert(std::move(node));
  }
  while (!lasting_news_.empty() && ops.size() < kOpsPerTransaction) {
    auto node = lasting_news_.extract(lasting_news_.begin());
    ops.push_back({Op::Kind::kPut, node.key(), node.mapped(), 0});
    lasting.insert(std::move(node));
  }
  if (ops.empty()) return;
  lock.unlock();
  const auto done = store_.txn({}, ops);
  lock.lock();
  if (done) return;
  // Again; what is newer by now stays.
  leased_news_.merge(leased);
  lasting_news_.merge(lasting);
  log::warn("record_not_written", {{"keys", ops.size()}, {"error", to_string(done.error())}});
  pause(lock);
}

}  // namespace regroup::agent
