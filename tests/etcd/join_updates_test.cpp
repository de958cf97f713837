// A reader that is behind gets one update for several, and knows the same afterwards.
#include "store/join_updates.hpp"

#include <gtest/gtest.h>

namespace regroup {
namespace {

WatchEvent put(const std::string& key, const std::string& value, std::int64_t revision) {
  return {WatchEvent::Kind::kPut, {key, value, 0, revision, 0, 0}};
}
WatchEvent erase(const std::string& key, std::int64_t revision) {
  return {WatchEvent::Kind::kDelete, {key, "", 0, revision, 0, 0}};
}
std::string text(const WatchUpdate& update) {
  std::string out = (update.reset ? "reset " : "") + std::to_string(update.revision) + ":";
  for (const WatchEvent& event : update.events)
    out += " " + event.kv.key + (event.kind == WatchEvent::Kind::kPut ? "=" + event.kv.value : " gone");
  return out;
}

TEST(JoinUpdates, of_each_key_the_newest_event_counts) {
  WatchUpdate queued{false, true, 3, {put("a", "1", 1), put("b", "1", 2), erase("c", 3)}};
  WatchUpdate next{false, true, 5, {erase("a", 4), put("c", "2", 5)}};
  EXPECT_TRUE(join_updates(queued, next));
  EXPECT_EQ(text(queued), "5: b=1 a gone c=2");
}

TEST(JoinUpdates, a_listing_takes_up_what_follows_it_and_stays_a_listing) {
  WatchUpdate queued{true, true, 3, {put("a", "1", 1), put("b", "1", 2)}};
  WatchUpdate next{false, true, 4, {put("b", "2", 4)}};
  EXPECT_TRUE(join_updates(queued, next));
  EXPECT_EQ(text(queued), "reset 4: a=1 b=2");
}

TEST(JoinUpdates, cuts_and_new_listings_stand_for_themselves) {
  WatchUpdate whole{false, true, 3, {put("a", "1", 1)}};
  WatchUpdate cut{false, false, 3, {}};
  WatchUpdate listing{true, true, 4, {put("a", "2", 4)}};
  EXPECT_FALSE(join_updates(whole, cut));
  EXPECT_FALSE(join_updates(cut, whole));
  EXPECT_FALSE(join_updates(whole, listing));
  EXPECT_EQ(text(whole), "3: a=1");
}

}  // namespace
}  // namespace regroup
