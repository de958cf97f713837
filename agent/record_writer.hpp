// record_writer.hpp: what this node says in etcd, written behind its back: put_* say what shall stand there, a thread
// of its own makes it so.
//
// Two kinds of records: leased ones stand while the node lives and are written under its NodeLease; lasting ones are
// written once and stay. Nothing is written before the node's name is claimed. A transaction that etcd did not confirm
// is repeated until it is; after a lost lease every leased record is written anew under the next one, so that a reader
// sees the same node come back.
//
// Threads: any; put_* and erase never block. Errors: none is returned; failures go to the log and are tried again after
// `retry`. While etcd is away records wait here, the newest value of each key alone. That bounds the queue: a node has
// about six keys, and a lasting key more for each checkpoint that is committed meanwhile (some 200 bytes).
#pragma once

#include "agent/node_lease.hpp"
#include "base/mutex.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <thread>

namespace regroup::agent {

class RecordWriter {
 public:
  RecordWriter(Store& store, NodeLeaseOptions lease, NodeLeaseEvents events,
               std::chrono::milliseconds retry = std::chrono::milliseconds(200));
  ~RecordWriter();

  void put_leased(const std::string& key, std::string value);
  void put_lasting(const std::string& key, std::string value);
  void erase_leased(const std::string& key);

  [[nodiscard]] bool registered() const { return lease_.registered(); }
  [[nodiscard]] std::string trouble() const { return lease_.trouble(); }
  // Writes nothing more; everything leased goes at once. Blocks for as long as one call to etcd may.
  void leave();

 private:
  void run();
  bool wait_for_news();
  bool renew();
  bool write_some();
  void pause();

  Store& store_;
  const std::string node_key_;
  const std::chrono::milliseconds retry_;
  Mutex mutex_;  // not held during a call to etcd
  Condition changed_;
  std::map<std::string, std::string> leased_ REGROUP_GUARDED_BY(mutex_);  // what shall stand
  // Not written yet under this lease; none: erase.
  std::map<std::string, std::optional<std::string>> leased_news_ REGROUP_GUARDED_BY(mutex_);
  std::map<std::string, std::string> lasting_news_ REGROUP_GUARDED_BY(mutex_);
  bool stopped_ REGROUP_GUARDED_BY(mutex_) = false;
  NodeLease lease_;                 // after what its callback touches
  std::int64_t written_under_ = 0;  // the thread's
  std::thread thread_;
};

}  // namespace regroup::agent
