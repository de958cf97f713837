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
               const LockGuard guard(mutex_);
               changed_.notify_all();
             }),
      thread_([this] { run(); }) {}

RecordWriter::~RecordWriter() {
  {
    const LockGuard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void RecordWriter::put_leased(const std::string& key, std::string value) {
  const LockGuard lock(mutex_);
  leased_[key] = value;
  leased_news_[key] = std::move(value);
  changed_.notify_all();
}

void RecordWriter::put_lasting(const std::string& key, std::string value) {
  const LockGuard lock(mutex_);
  lasting_news_[key] = std::move(value);
  changed_.notify_all();
}

void RecordWriter::erase_leased(const std::string& key) {
  const LockGuard lock(mutex_);
  if (leased_.erase(key) == 0) return;
  leased_news_[key] = std::nullopt;
  changed_.notify_all();
}

void RecordWriter::leave() {
  {
    const LockGuard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  lease_.leave();
}

bool RecordWriter::wait_for_news() {
  Lock lock(mutex_);
  // Without a node record to write there is nothing to register yet.
  changed_.wait(lock, [&]() REGROUP_REQUIRES(mutex_) {
    return stopped_ || lease_.lost() || !leased_news_.empty() || !lasting_news_.empty();
  });
  return !stopped_;
}

void RecordWriter::pause() {
  Lock lock(mutex_);
  changed_.wait_for(lock, retry_, [&]() REGROUP_REQUIRES(mutex_) { return stopped_; });
}

void RecordWriter::run() {
  while (wait_for_news()) {
    if (!renew() || !write_some()) pause();
  }
}

// Takes the lease and the node's name. Under a new lease every leased record is to be written again.
bool RecordWriter::renew() {
  std::optional<std::string> node_record;
  {
    const LockGuard lock(mutex_);
    if (const auto found = leased_.find(node_key_); found != leased_.end()) node_record = found->second;
  }
  const bool held = lease_.take(node_record);
  const std::int64_t id = lease_.id();
  if (id != written_under_) {
    written_under_ = id;
    const LockGuard lock(mutex_);
    for (const auto& [key, value] : leased_) leased_news_[key] = value;
  }
  return held;
}

// False: etcd did not confirm it.
bool RecordWriter::write_some() {
  std::vector<Op> ops;
  std::map<std::string, std::optional<std::string>> leased;
  std::map<std::string, std::string> lasting;
  {
    const LockGuard lock(mutex_);
    if (stopped_) return true;  // leave() came while the lease was being taken: nothing more is written under it
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
  }
  if (ops.empty()) return true;
  const auto done = store_.txn({}, ops);
  if (done) return true;
  log::warn_often("record_not_written", {{"keys", ops.size()}, {"error", to_string(done.error())}});
  // Again; what is newer by now stays.
  const LockGuard lock(mutex_);
  leased_news_.merge(leased);
  lasting_news_.merge(lasting);
  return false;
}

}  // namespace regroup::agent
