// watch_log.hpp: what a watch told, as a cache and as a record, with waits that end by a condition.
#pragma once

#include "store/store.hpp"

#include <condition_variable>
#include <map>
#include <mutex>

namespace regroup::testing {

inline constexpr std::chrono::seconds kPatience{30};

class WatchLog {
 public:
  std::function<void(const WatchUpdate&)> callback() {
    return [this](const WatchUpdate& update) {
      const std::lock_guard<std::mutex> lock(mutex_);
      updates_.push_back(update);
      connected_ = update.connected;
      for (const WatchEvent& event : update.events) {
        if (event.kind == WatchEvent::Kind::kPut) {
          cache_[event.kv.key] = event.kv.value;
        } else {
          cache_.erase(event.kv.key);
        }
      }
      changed_.notify_all();
    };
  }

  // False when it did not come true in time. The condition may look at the members below through the arguments only.
  template <class Condition>
  bool wait(const Condition& condition) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return condition(); });
  }
  bool wait_value(const std::string& key, const std::string& value) {
    return wait([&] {
      const auto it = cache_.find(key);
      return it != cache_.end() && it->second == value;
    });
  }
  bool wait_gone(const std::string& key) {
    return wait([&] { return !updates_.empty() && !cache_.contains(key); });
  }
  bool wait_reset(int count = 1) {
    return wait([&] { return count_resets() >= count; });
  }
  bool wait_connected(bool connected) {
    return wait([&] { return connected_ == connected; });
  }
  std::vector<WatchUpdate> updates() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return updates_;
  }
  std::map<std::string, std::string> cache() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return cache_;
  }
  // Puts and deletes told, resets not counted.
  std::vector<WatchEvent> events() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<WatchEvent> all;
    for (const WatchUpdate& update : updates_)
      if (!update.reset) all.insert(all.end(), update.events.begin(), update.events.end());
    return all;
  }
  int resets() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return count_resets();
  }

 private:
  int count_resets() const {
    int count = 0;
    for (const WatchUpdate& update : updates_) count += update.reset ? 1 : 0;
    return count;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<WatchUpdate> updates_;
  std::map<std::string, std::string> cache_;
  bool connected_ = true;
};

// A flag set by a callback.
class Signal {
 public:
  void set() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  bool wait(int count = 1) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return count_ >= count; });
  }
  int count() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

}  // namespace regroup::testing
