// registration.hpp: what this node says in etcd, kept true: leased keys while the node lives, lasting ones once.
//
// The caller says what shall stand there; a thread of its own writes what is new, as few transactions as possible,
// again and again until etcd has it. A lost lease is replaced and everything leased is written anew: whoever reads sees
// the same node come back. The node's own key is taken only when nobody else holds it. A key left by an agent that
// certainly is dead (it used our directory, whose lock we hold) is taken over at once; another one is waited for until
// its lease must have ended, then the node is refused. Threads: put_*, erase: any; they never block.
#pragma once

#include "base/ids.hpp"
#include "store/store.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace regroup::agent {

struct RegistrationOptions {
  std::string node_key;
  std::uint64_t incarnation = 0;
  std::string directory;  // of this agent; its lock is held. As in the record's label "directory"
  std::string host;       // as in the record's label "host"
  std::chrono::milliseconds lease_ttl{3000};
  std::chrono::milliseconds retry{200};
};

struct RegistrationEvents {
  std::function<void(const std::string& reason)> on_refused;  // once: another live agent has this node's name
  std::function<void()> on_lease_lost;
};

class Registration {
 public:
  Registration(Store& store, RegistrationOptions options, RegistrationEvents events);
  ~Registration();

  void put_leased(const std::string& key, std::string value);
  void put_lasting(const std::string& key, std::string value);
  void erase_leased(const std::string& key);

  [[nodiscard]] bool registered() const { return registered_; }
  // Everything leased goes at once. Blocks for as long as one call to etcd may.
  void leave();

 private:
  void run();
  bool have_lease(std::unique_lock<std::mutex>& lock);
  bool claim_node(std::unique_lock<std::mutex>& lock);
  void write_some(std::unique_lock<std::mutex>& lock);
  void pause(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] bool left_by_us(const std::string& record) const;

  Store& store_;
  RegistrationOptions options_;
  RegistrationEvents events_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string> leased_;                      // what shall stand
  std::map<std::string, std::optional<std::string>> leased_news_;  // not written yet under this lease; none: erase
  std::map<std::string, std::string> lasting_news_;
  std::shared_ptr<Lease> lease_;
  std::atomic<bool> lease_lost_{false}, registered_{false};
  bool claimed_ = false, refused_ = false, stopped_ = false;
  std::optional<std::chrono::steady_clock::time_point> conflict_since_;
  std::thread thread_;
};

}  // namespace regroup::agent
