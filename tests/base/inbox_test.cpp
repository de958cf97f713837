// What a full inbox does is chosen by whoever posts; nothing is lost but what the chooser gave up.
#include "base/inbox.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

namespace regroup {
namespace {

using namespace std::chrono_literals;
using Strings = std::deque<std::string>;

auto now() { return std::chrono::steady_clock::now(); }

// The newest of a name counts: "plan:1" and "plan:2" are one "plan:2". Nothing goes past a "cut".
Folded same_name(std::string& queued, std::string& event) {
  if (queued == "cut") return Folded::kMustStand;
  if (queued.substr(0, queued.find(':')) != event.substr(0, event.find(':'))) return Folded::kNotKin;
  queued = std::move(event);
  return Folded::kTaken;
}

TEST(Inbox, events_come_in_order_and_all_at_once) {
  Inbox<std::string> inbox(2);
  inbox.post("a");
  inbox.post_or_wait("b");
  EXPECT_EQ(inbox.wait_until(now() + 1h), (Strings{"a", "b"}));
  EXPECT_EQ(inbox.wait_until(now()), Strings{});
}

TEST(Inbox, what_must_not_be_lost_is_taken_when_full) {
  Inbox<std::string> inbox(2);
  for (const char* event : {"a", "b", "worker ended"}) inbox.post(event);
  EXPECT_EQ(inbox.wait_until(now()), (Strings{"a", "b", "worker ended"}));
}

TEST(Inbox, a_talkative_thread_waits_for_room_and_loses_nothing) {
  Inbox<std::string> inbox(3);
  std::atomic<int> posted{0};
  std::thread talks([&] {
    for (int i = 0; i < 20; ++i) {
      inbox.post_or_wait(std::to_string(i));
      ++posted;
    }
  });
  while (posted < 3) std::this_thread::yield();
  std::this_thread::sleep_for(20ms);  // shows only that it stays so: a fourth would have come by now
  EXPECT_EQ(posted, 3);
  Strings all;
  while (all.size() < 20) {
    for (std::string& event : inbox.wait_until(now() + 1h)) all.push_back(std::move(event));
  }
  talks.join();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)], std::to_string(i));
}

TEST(Inbox, level_triggered_events_are_one_when_full_and_each_its_own_before) {
  Inbox<std::string> inbox(3);
  inbox.post_or_fold("plan:1", same_name);
  inbox.post_or_fold("plan:2", same_name);
  inbox.post("worker ended");
  inbox.post_or_fold("plan:3", same_name);
  inbox.post_or_fold("job:1", same_name);  // nothing of its kind waits
  inbox.post_or_fold("job:2", same_name);
  EXPECT_EQ(inbox.wait_until(now()), (Strings{"plan:1", "plan:3", "worker ended", "job:2"}));
}

TEST(Inbox, nothing_is_folded_past_an_event_that_must_stand_between) {
  Inbox<std::string> inbox(2);
  for (const char* event : {"plan:1", "cut", "plan:2", "plan:3"}) inbox.post_or_fold(event, same_name);
  EXPECT_EQ(inbox.wait_until(now()), (Strings{"plan:1", "cut", "plan:3"}));
}

TEST(Inbox, close_frees_who_waits_and_drops_what_comes) {
  Inbox<std::string> inbox(1);
  inbox.post("a");
  std::thread talks([&] { inbox.post_or_wait("b"); });
  std::thread tries([&] { EXPECT_TRUE(inbox.wait_closed(1h)); });
  std::this_thread::sleep_for(5ms);  // both wait by then; if not, the test passes all the same
  inbox.close();
  talks.join();
  tries.join();
  inbox.post("c");
  EXPECT_EQ(inbox.wait_until(now() + 1h), Strings{});
  EXPECT_TRUE(inbox.closed());
}

}  // namespace
}  // namespace regroup
