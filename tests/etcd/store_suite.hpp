// store_suite.hpp: the contract of store/store.hpp as tests. A World is one cluster with two clients; see
// memory_store_test.cpp and etcd_store_test.cpp.
//
//   struct World { Store& store(); Store& other(); std::chrono::milliseconds short_ttl(); void drop_lease(std::int64_t
//   id); }
#pragma once

#include "tests/etcd/watch_log.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace regroup::testing {

template <class World>
class StoreSuite : public ::testing::Test {
 protected:
  World world_;
  Store& store_ = world_.store();
  Store& other_ = world_.other();
};
TYPED_TEST_SUITE_P(StoreSuite);

TYPED_TEST_P(StoreSuite, an_absent_key_is_not_found) {
  const auto got = this->store_.get("/a");
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::kNotFound);
}

TYPED_TEST_P(StoreSuite, a_key_carries_its_revisions_and_its_bytes) {
  const std::string bytes("\0\xff binary \n", 11);
  const auto first = this->store_.put("/a", "one");
  const auto second = this->store_.put("/a", bytes);
  ASSERT_TRUE(first && second);
  EXPECT_GT(*second, *first);
  const auto got = this->other_.get("/a");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->value, bytes);
  EXPECT_EQ(got->create_revision, *first);
  EXPECT_EQ(got->mod_revision, *second);
  EXPECT_EQ(got->version, 2);
}

TYPED_TEST_P(StoreSuite, a_listing_is_ascending_and_holds_its_prefix_only) {
  for (const char* key : {"/p/b", "/p/a", "/q", "/p0", "/p/"}) ASSERT_TRUE(this->store_.put(key, key));
  const auto listing = this->store_.list("/p/");
  ASSERT_TRUE(listing);
  ASSERT_EQ(listing->keys.size(), 3u);
  EXPECT_EQ(listing->keys[0].key, "/p/");
  EXPECT_EQ(listing->keys[1].key, "/p/a");
  EXPECT_EQ(listing->keys[2].key, "/p/b");
  const auto next = this->store_.put("/r", "");
  ASSERT_TRUE(next);
  EXPECT_EQ(*next, listing->revision + 1);
  EXPECT_EQ(this->store_.list("")->keys.size(), 6u);
  EXPECT_TRUE(this->store_.list("/none/")->keys.empty());
}

TYPED_TEST_P(StoreSuite, a_listing_longer_than_a_page_is_whole) {
  std::vector<Op> ops;
  for (int i = 0; i < 2500; ++i) {
    char key[32];
    std::snprintf(key, sizeof key, "/many/%05d", i);
    ops.push_back({Op::Kind::kPut, key, "v", 0});
    if (ops.size() < 128 && i < 2499) continue;
    ASSERT_TRUE(this->store_.txn({}, ops));
    ops.clear();
  }
  const auto listing = this->other_.list("/many/");
  ASSERT_TRUE(listing);
  ASSERT_EQ(listing->keys.size(), 2500u);
  EXPECT_EQ(listing->keys[2499].key, "/many/02499");
}

TYPED_TEST_P(StoreSuite, erasing_what_is_absent_is_fine) {
  EXPECT_TRUE(this->store_.erase("/a"));
  ASSERT_TRUE(this->store_.put("/a", "x"));
  EXPECT_TRUE(this->store_.erase("/a"));
  EXPECT_FALSE(this->store_.get("/a"));
}

TYPED_TEST_P(StoreSuite, a_transaction_compares_each_thing_it_can) {
  const auto created = this->store_.put("/a", "one");
  const auto changed = this->store_.put("/a", "two");
  ASSERT_TRUE(created && changed);
  using T = Compare::Target;
  const auto holds = [&](const Compare& compare) {
    const auto done = this->store_.txn({compare}, {});
    EXPECT_TRUE(done);
    return done && done->succeeded;
  };
  EXPECT_TRUE(holds({"/a", T::kCreateRevision, *created, ""}));
  EXPECT_FALSE(holds({"/a", T::kCreateRevision, *changed, ""}));
  EXPECT_TRUE(holds({"/a", T::kModRevision, *changed, ""}));
  EXPECT_FALSE(holds({"/a", T::kModRevision, *created, ""}));
  EXPECT_TRUE(holds({"/a", T::kVersion, 2, ""}));
  EXPECT_FALSE(holds({"/a", T::kVersion, 1, ""}));
  EXPECT_TRUE(holds({"/a", T::kValue, 0, "two"}));
  EXPECT_FALSE(holds({"/a", T::kValue, 0, "one"}));
  EXPECT_TRUE(holds({"/absent", T::kCreateRevision, 0, ""}));
  EXPECT_TRUE(holds({"/absent", T::kModRevision, 0, ""}));
  EXPECT_TRUE(holds({"/absent", T::kVersion, 0, ""}));
  EXPECT_FALSE(holds({"/absent", T::kValue, 0, ""}));
}

TYPED_TEST_P(StoreSuite, a_failed_compare_does_the_other_branch_and_nothing_of_the_first) {
  ASSERT_TRUE(this->store_.put("/a", "old"));
  const auto done = this->store_.txn(
      {{"/a", Compare::Target::kModRevision, 0, ""}, {"/b", Compare::Target::kModRevision, 0, ""}},
      {{Op::Kind::kPut, "/a", "new", 0}, {Op::Kind::kPut, "/b", "new", 0}},
      {{Op::Kind::kGet, "/a", "", 0}, {Op::Kind::kGet, "/b", "", 0}, {Op::Kind::kPut, "/c", "else", 0}});
  ASSERT_TRUE(done);
  EXPECT_FALSE(done->succeeded);
  ASSERT_EQ(done->reads.size(), 3u);
  ASSERT_EQ(done->reads[0].size(), 1u);
  EXPECT_EQ(done->reads[0][0].value, "old");
  EXPECT_TRUE(done->reads[1].empty());
  EXPECT_FALSE(this->store_.get("/b"));
  EXPECT_EQ(this->store_.get("/c")->mod_revision, done->revision);
}

TYPED_TEST_P(StoreSuite, a_transaction_deletes_a_prefix_and_sees_its_own_writes) {
  for (const char* key : {"/p/a", "/p/b", "/q"}) ASSERT_TRUE(this->store_.put(key, "x"));
  const auto done = this->store_.txn(
      {}, {{Op::Kind::kDeletePrefix, "/p/", "", 0}, {Op::Kind::kPut, "/z", "1", 0}, {Op::Kind::kGet, "/z", "", 0}});
  ASSERT_TRUE(done && done->succeeded);
  EXPECT_EQ(done->reads[2].at(0).value, "1");
  EXPECT_TRUE(this->store_.list("/p/")->keys.empty());
  EXPECT_TRUE(this->store_.get("/q"));
}

TYPED_TEST_P(StoreSuite, what_etcd_refuses_is_refused) {
  const auto code = [&](const std::vector<Op>& ops) {
    const auto done = this->store_.txn({}, ops);
    return done ? Code::kInternal : done.error().code;
  };
  EXPECT_EQ(code({{Op::Kind::kPut, "/a", "1", 0}, {Op::Kind::kPut, "/a", "2", 0}}), Code::kBadInput);
  EXPECT_EQ(code({{Op::Kind::kPut, "", "1", 0}}), Code::kBadInput);
  const std::string largest(1024 * 1024, 'x');
  EXPECT_EQ(code({{Op::Kind::kPut, "/a", largest + "x", 0}}), Code::kBadInput);
  EXPECT_EQ(code({{Op::Kind::kPut, "/a", largest, 0}, {Op::Kind::kPut, "/b", largest, 0}}), Code::kBadInput);
  const auto one =
      this->store_.txn({}, {{Op::Kind::kPut, "/l/1", largest, 0}, {Op::Kind::kPut, "/l/0", "names it", 0}});
  EXPECT_TRUE(one) << to_string(one.error());
  std::vector<Op> many;
  for (int i = 0; i < 129; ++i) many.push_back({Op::Kind::kPut, "/m" + std::to_string(i), "", 0});
  EXPECT_EQ(code(many), Code::kBadInput);
  EXPECT_EQ(code({{Op::Kind::kPut, "/a", "1", 0x7777}}), Code::kNotFound) << "a lease that nobody granted";
  EXPECT_FALSE(this->store_.get("/a"));
  EXPECT_TRUE(this->store_.put("/a", std::string(1000 * 1024, 'x')));
}

TYPED_TEST_P(StoreSuite, of_many_who_compare_and_swap_one_wins_each_round) {
  std::atomic<int> wins{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Store& store = t % 2 == 0 ? this->store_ : this->other_;
      for (int i = 0; i < 25; ++i) {
        const std::string key = "/round/" + std::to_string(i);
        const auto done =
            store.txn({{key, Compare::Target::kCreateRevision, 0, ""}}, {{Op::Kind::kPut, key, std::to_string(t), 0}});
        if (done && done->succeeded) ++wins;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wins, 25);
}

TYPED_TEST_P(StoreSuite, a_watch_begins_with_the_content_and_follows_in_order) {
  ASSERT_TRUE(this->store_.put("/w/a", "1"));
  ASSERT_TRUE(this->store_.put("/x", "1"));
  WatchLog log;
  const auto watch = this->other_.watch("/w/", log.callback());
  ASSERT_TRUE(log.wait_reset());
  EXPECT_TRUE(log.updates().front().reset);
  EXPECT_EQ(log.cache(), (std::map<std::string, std::string>{{"/w/a", "1"}}));
  std::vector<std::int64_t> revisions;
  for (int i = 0; i < 50; ++i) revisions.push_back(*this->store_.put("/w/b", std::to_string(i)));
  ASSERT_TRUE(this->store_.put("/x", "2"));
  const auto gone = this->store_.erase("/w/a");
  ASSERT_TRUE(gone);
  ASSERT_TRUE(log.wait_gone("/w/a"));
  const auto events = log.events();
  ASSERT_EQ(events.size(), 51u);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(events[i].kv.value, std::to_string(i));
    EXPECT_EQ(events[i].kv.mod_revision, revisions[i]);
  }
  EXPECT_EQ(events[50].kind, WatchEvent::Kind::kDelete);
  EXPECT_EQ(events[50].kv.mod_revision, *gone);
  EXPECT_TRUE(events[50].kv.value.empty());
  EXPECT_EQ(log.resets(), 1);
}

TYPED_TEST_P(StoreSuite, a_transaction_is_told_as_one_update) {
  WatchLog log;
  const auto watch = this->other_.watch("/w/", log.callback());
  ASSERT_TRUE(log.wait_reset());
  const auto done = this->store_.txn(
      {}, {{Op::Kind::kPut, "/w/a", std::string(900 * 1024, 'a'), 0}, {Op::Kind::kPut, "/w/b", "b", 0}});
  ASSERT_TRUE(done);
  ASSERT_TRUE(log.wait_value("/w/b", "b"));
  const auto updates = log.updates();
  ASSERT_EQ(updates.size(), 2u);
  EXPECT_EQ(updates[1].events.size(), 2u);
  EXPECT_EQ(updates[1].revision, done->revision);
}

TYPED_TEST_P(StoreSuite, a_watch_that_was_ended_tells_nothing_more) {
  std::atomic<bool> ended{false};
  std::atomic<int> late{0};
  auto watch = this->store_.watch("/w/", [&](const WatchUpdate&) { late += ended ? 1 : 0; });
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(this->store_.put("/w/a", std::to_string(i)));
  watch.reset();
  ended = true;
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(this->store_.put("/w/a", std::to_string(i)));
  WatchLog log;
  const auto next = this->store_.watch("/w/", log.callback());
  ASSERT_TRUE(log.wait_value("/w/a", "19"));
  EXPECT_EQ(late, 0);
}

TYPED_TEST_P(StoreSuite, a_held_lease_outlives_many_ttls) {
  Signal lost;
  const auto lease = this->store_.grant(this->world_.short_ttl(), [&] { lost.set(); });
  ASSERT_TRUE(lease);
  EXPECT_GE((*lease)->ttl(), this->world_.short_ttl());
  ASSERT_TRUE(this->store_.put("/l", "x", (*lease)->id()));
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < 3 * (*lease)->ttl()) {
    ASSERT_FALSE((*lease)->lost());
    std::this_thread::sleep_for((*lease)->ttl() / 10);
  }
  const auto got = this->other_.get("/l");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->lease, (*lease)->id());
  EXPECT_EQ(lost.count(), 0);
}

TYPED_TEST_P(StoreSuite, the_keys_of_a_lease_that_nobody_renews_go_and_others_see_it) {
  WatchLog log;
  const auto watch = this->other_.watch("/l", log.callback());
  auto lease = this->store_.grant(this->world_.short_ttl());
  ASSERT_TRUE(lease);
  ASSERT_TRUE(this->store_.put("/l", "x", (*lease)->id()));
  ASSERT_TRUE(log.wait_value("/l", "x"));
  lease->reset();
  ASSERT_TRUE(log.wait_gone("/l"));
  EXPECT_FALSE(this->other_.get("/l"));
}

TYPED_TEST_P(StoreSuite, a_revoked_lease_takes_its_keys_at_once_and_is_not_reported_lost) {
  Signal lost;
  const auto lease = this->store_.grant(std::chrono::seconds(60), [&] { lost.set(); });
  ASSERT_TRUE(lease);
  ASSERT_TRUE(this->store_.put("/l/a", "x", (*lease)->id()));
  ASSERT_TRUE(this->store_.put("/l/b", "x", (*lease)->id()));
  ASSERT_TRUE(this->store_.put("/l/b", "y"));  // without the lease: stays
  ASSERT_TRUE((*lease)->revoke());
  EXPECT_TRUE((*lease)->lost());
  EXPECT_FALSE(this->other_.get("/l/a"));
  EXPECT_TRUE(this->other_.get("/l/b"));
  EXPECT_TRUE((*lease)->revoke()) << "twice does no harm";
  EXPECT_EQ(lost.count(), 0);
}

TYPED_TEST_P(StoreSuite, a_lease_that_the_server_dropped_is_reported_once) {
  Signal lost;
  const auto lease = this->store_.grant(std::chrono::seconds(3), [&] { lost.set(); });
  ASSERT_TRUE(lease);
  ASSERT_TRUE(this->store_.put("/l", "x", (*lease)->id()));
  this->world_.drop_lease((*lease)->id());
  ASSERT_TRUE(lost.wait());
  EXPECT_TRUE((*lease)->lost());
  EXPECT_FALSE(this->other_.get("/l"));
  const auto again = this->store_.put("/l", "x", (*lease)->id());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kNotFound);
  EXPECT_EQ(lost.count(), 1);
}

TYPED_TEST_P(StoreSuite, many_leases_live_side_by_side) {
  std::vector<std::unique_ptr<Lease>> leases;
  for (int i = 0; i < 20; ++i) {
    auto lease = this->store_.grant(this->world_.short_ttl());
    ASSERT_TRUE(lease);
    ASSERT_TRUE(this->store_.put("/l/" + std::to_string(i), "", (*lease)->id()));
    leases.push_back(std::move(*lease));
  }
  WatchLog log;
  const auto watch = this->other_.watch("/l/", log.callback());
  ASSERT_TRUE(log.wait_reset());
  for (int i = 0; i < 20; i += 2) leases[i].reset();
  for (int i = 0; i < 20; i += 2) ASSERT_TRUE(log.wait_gone("/l/" + std::to_string(i)));
  for (int i = 1; i < 20; i += 2) {
    EXPECT_FALSE(leases[i]->lost());
    EXPECT_TRUE(this->other_.get("/l/" + std::to_string(i)));
  }
}

REGISTER_TYPED_TEST_SUITE_P(StoreSuite, an_absent_key_is_not_found, a_key_carries_its_revisions_and_its_bytes,
                            a_listing_is_ascending_and_holds_its_prefix_only, a_listing_longer_than_a_page_is_whole,
                            erasing_what_is_absent_is_fine, a_transaction_compares_each_thing_it_can,
                            a_failed_compare_does_the_other_branch_and_nothing_of_the_first,
                            a_transaction_deletes_a_prefix_and_sees_its_own_writes, what_etcd_refuses_is_refused,
                            of_many_who_compare_and_swap_one_wins_each_round,
                            a_watch_begins_with_the_content_and_follows_in_order, a_transaction_is_told_as_one_update,
                            a_watch_that_was_ended_tells_nothing_more, a_held_lease_outlives_many_ttls,
                            the_keys_of_a_lease_that_nobody_renews_go_and_others_see_it,
                            a_revoked_lease_takes_its_keys_at_once_and_is_not_reported_lost,
                            a_lease_that_the_server_dropped_is_reported_once, many_leases_live_side_by_side);

}  // namespace regroup::testing
