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

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
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
  // Writes nothing more; everything leased goes at once. Blocks for as long as one call to etcd may.
  void leave();

 private:
  void run();
  bool renew(std::unique_lock<std::mutex>& lock);
  void write_some(std::unique_lock<std::mutex>& lock);
  void pause(std::unique_lock<std::mutex>& lock);

  Store& store_;
  const std::string node_key_;
  const std::chrono::milliseconds retry_;
  std::mutex mutex_;  // guards the five below; not held during a call to etcd
  std::condition_variable changed_;
  std::map<std::string, std::string> leased_;                      // what shall stand
  std::map<std::string, std::optional<std::string>> leased_news_;  // not written yet under this lease; none: erase
  std::map<std::string, std::string> lasting_news_;
  bool stopped_ = false;
  NodeLease lease_;  // after what its callback touches
  std::int64_t written_under_ = 0;
  std::thread thread_;
};

}  // namespace regroup::agent
