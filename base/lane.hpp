// lane.hpp: a thread that runs what it is given, in order: for calls that block, beside a loop that must not.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace regroup {

class Lane {
 public:
  Lane();
  ~Lane();  // finishes what runs, drops the rest
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  void post(std::function<void()> work);  // any thread

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> work_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace regroup
