#include "tests/etcd/memory_store.hpp"

#include "tests/etcd/election_suite.hpp"

namespace regroup::testing {
namespace {

class MemoryWorld {
 public:
  Store& store() { return store_; }
  Store& other() { return store_; }
  static std::chrono::milliseconds short_ttl() { return std::chrono::milliseconds(200); }
  void drop_lease(std::int64_t id) { store_.expire(id); }

 private:
  MemoryStore store_;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, StoreSuite, MemoryWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, ElectionSuite, MemoryWorld);

struct OwnClock {
  std::atomic<std::int64_t> ms{1};
  MemoryStore store{{[this] { return std::chrono::steady_clock::time_point(std::chrono::milliseconds(ms)); }}};
};

TEST(MemoryStore, leases_end_on_the_clock_of_the_test_only) {
  OwnClock world;
  Signal lost;
  auto held = world.store.grant(std::chrono::seconds(3), [&] { lost.set(); });
  auto let_go = world.store.grant(std::chrono::seconds(3));
  ASSERT_TRUE(held && let_go);
  ASSERT_TRUE(world.store.put("/held", "", (*held)->id()));
  ASSERT_TRUE(world.store.put("/let_go", "", (*let_go)->id()));
  let_go->reset();
  world.ms += 2999;
  world.store.tick();
  EXPECT_TRUE(world.store.get("/let_go"));
  world.ms += 1;
  world.store.tick();
  EXPECT_FALSE(world.store.get("/let_go"));
  EXPECT_TRUE(world.store.get("/held"));
  world.store.drain();
  EXPECT_EQ(lost.count(), 0);
}

TEST(MemoryStore, unreachable_it_refuses_tells_the_watches_and_lets_leases_run_out) {
  OwnClock world;
  Signal lost;
  auto lease = world.store.grant(std::chrono::seconds(3), [&] { lost.set(); });
  ASSERT_TRUE(lease);
  ASSERT_TRUE(world.store.put("/w/leased", "", (*lease)->id()));
  ASSERT_TRUE(world.store.put("/w/stays", "1"));
  WatchLog log;
  const auto watch = world.store.watch("/w/", log.callback());
  world.store.set_reachable(false);
  const auto put = world.store.put("/w/stays", "2");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Code::kUnavailable);
  EXPECT_TRUE(log.wait_connected(false));
  world.ms += 3000;
  EXPECT_TRUE((*lease)->lost());
  world.store.tick();
  world.store.set_reachable(true);
  ASSERT_TRUE(log.wait_reset(2));
  EXPECT_EQ(log.cache(), (std::map<std::string, std::string>{{"/w/stays", "1"}}));
  EXPECT_TRUE(lost.wait());
}

}  // namespace
}  // namespace regroup::testing
