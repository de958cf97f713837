#include "agent/record_writer.hpp"

#include "base/log.hpp"

#include <utility>
#include <vector>

namespace regroup::agent {
namespace {

constexpr std::size_t kOpsPerTransaction = 64;  // etcd refuses more than 128

}  // namespace

RecordWriter::RecordWriter(Store& store, NodeLeaseOptions lease, NodeLeaseEvents events,
                           std::chrono::milliseconds retry)
    : store_(store),
      node_key_(lease.node_key),
      retry_(retry),
      lease_(store, std::move(lease), std::move(events),
             [this] {
               const std::lock_guard guard(mutex_);
               changed_.notify_all();
             }),
      thread_([this] { run(); }) {}

RecordWriter::~RecordWriter() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void RecordWriter::put_leased(const std::string& key, std::string value) {
  const std::lock_guard lock(mutex_);
  leased_[key] = value;
  leased_news_[key] = std::move(value);
  changed_.notify_all();
}

void RecordWriter::put_lasting(const std::string& key, std::string value) {
  const std::lock_guard lock(mutex_);
  lasting_news_[key] = std::move(value);
  changed_.notify_all();
}

void RecordWriter::erase_leased(const std::string& key) {
  const std::lock_guard lock(mutex_);
  if (leased_.erase(key) == 0) return;
  leased_news_[key] = std::nullopt;
  changed_.notify_all();
}

void RecordWriter::leave() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  lease_.leave();
}

void RecordWriter::pause(std::unique_lock<std::mutex>& lock) {
  changed_.wait_for(lock, retry_, [&] { return stopped_; });
}

void RecordWriter::run() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    // Without a node record to write there is nothing to register yet.
    changed_.wait(lock, [&] { return stopped_ || lease_.lost() || !leased_news_.empty() || !lasting_news_.empty(); });
    if (stopped_) return;
    if (renew(lock)) {
      write_some(lock);
    } else if (!stopped_) {
      pause(lock);
    }
  }
}

// Takes the lease and the node's name. Under a new lease every leased record is to be written again.
bool RecordWriter::renew(std::unique_lock<std::mutex>& lock) {
  const auto found = leased_.find(node_key_);
  const auto node_record = found == leased_.end() ? std::nullopt : std::optional(found->second);
  lock.unlock();
  const bool held = lease_.take(node_record);
  const std::int64_t id = lease_.id();
  lock.lock();
  if (id != written_under_) {
    written_under_ = id;
    for (const auto& [key, value] : leased_) leased_news_[key] = value;
  }
  return held;
}

void RecordWriter::write_some(std::unique_lock<std::mutex>& lock) {
  std::vector<Op> ops;
  std::map<std::string, std::optional<std::string>> leased;
  std::map<std::string, std::string> lasting;
  while (!leased_news_.empty() && ops.size() < kOpsPerTransaction) {
    auto node = leased_news_.extract(leased_news_.begin());
    ops.push_back(node.mapped() ? Op{Op::Kind::kPut, node.key(), *node.mapped(), written_under_}
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
