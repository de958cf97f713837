// Work runs in order, on one thread; what becomes of the rest at the end is chosen by whoever made the queue.
#include "base/work_queue.hpp"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <vector>

namespace regroup {
namespace {

// Posts 1 to 3, and lets the queue go while 1 runs.
std::vector<int> done_by(WorkQueue::AtEnd at_end) {
  std::vector<int> done;
  std::promise<void> begun, go;
  std::thread ends;
  {
    WorkQueue queue(at_end);
    queue.post([&] {
      begun.set_value();
      go.get_future().wait();
      done.push_back(1);
    });
    for (int i : {2, 3}) queue.post([&, i] { done.push_back(i); });
    begun.get_future().wait();
    EXPECT_FALSE(queue.idle());
    ends = std::thread([&] {
      // The destructor has been entered by then; if not, the test passes all the same.
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      go.set_value();
    });
  }
  ends.join();
  return done;
}

TEST(WorkQueue, ends_what_runs_and_drops_the_rest) {
  EXPECT_EQ(done_by(WorkQueue::AtEnd::kDropsTheRest), (std::vector<int>{1}));
}

TEST(WorkQueue, runs_the_rest_in_order_if_asked_to) {
  EXPECT_EQ(done_by(WorkQueue::AtEnd::kRunsTheRest), (std::vector<int>{1, 2, 3}));
}

TEST(WorkQueue, is_idle_once_the_work_is_gone_with_all_that_it_held) {
  WorkQueue queue;
  EXPECT_TRUE(queue.idle());
  auto held = std::make_shared<int>(1);
  const std::weak_ptr<int> seen = held;
  std::promise<void> go;
  queue.post([&go, held = std::move(held)] { go.get_future().wait(); });
  EXPECT_FALSE(queue.idle());
  go.set_value();
  while (!queue.idle()) std::this_thread::yield();
  EXPECT_TRUE(seen.expired());
}

}  // namespace
}  // namespace regroup
