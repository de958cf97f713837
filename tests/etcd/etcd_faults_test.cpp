// A real etcd that is killed, frozen, restarted, compacted, wiped or reduced to two of three under the client.
#include "coordinator/election.hpp"
#include "tests/etcd/etcd_world.hpp"
#include "tests/etcd/watch_log.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

namespace regroup::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// Puts until one goes through; etcd is coming back.
std::int64_t put_at_last(Store& store, const std::string& key, const std::string& value) {
  for (const auto until = steady_clock::now() + kPatience; steady_clock::now() < until;) {
    const auto done = store.put(key, value);
    if (done) return *done;
    std::this_thread::sleep_for(milliseconds(20));
  }
  ADD_FAILURE() << "no put went through";
  return 0;
}

// The same for an erase.
void erase_at_last(Store& store, const std::string& key) {
  for (const auto until = steady_clock::now() + kPatience; steady_clock::now() < until;) {
    if (store.erase(key)) return;
    std::this_thread::sleep_for(milliseconds(20));
  }
  ADD_FAILURE() << "no erase went through";
}

TEST(EtcdFaults, a_watch_resumes_after_a_kill_and_restart_without_a_gap_or_a_repeat) {
  EtcdWorld world;
  WatchLog log;
  ASSERT_TRUE(world.store().put("/w/0", "0"));
  const auto watch = world.other().watch("/w/", log.callback());
  ASSERT_TRUE(log.wait_reset());
  std::vector<std::int64_t> revisions;
  for (int round = 0; round < 3; ++round) {
    revisions.push_back(put_at_last(world.store(), "/w/1", std::to_string(round)));
    ASSERT_TRUE(log.wait_value("/w/1", std::to_string(round)));
    world.etcd().kill();
    ASSERT_TRUE(log.wait_connected(false));
    ASSERT_TRUE(world.etcd().restart());
    ASSERT_TRUE(log.wait_connected(true));
  }
  const auto events = log.events();
  ASSERT_EQ(events.size(), 3u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(events[i].kv.mod_revision, revisions[i]);
  EXPECT_EQ(log.resets(), 1);
}

TEST(EtcdFaults, what_changed_while_a_watch_was_cut_is_told_as_it_happened) {
  const auto members = start_etcd_cluster(3);
  ASSERT_TRUE(members) << members.error().context;
  const auto cut_off = open_store((*members)[0]->endpoint());  // knows one member only
  const auto writer = open_store((*members)[1]->endpoint() + "," + (*members)[2]->endpoint());
  WatchLog log;
  const auto watch = cut_off->watch("/w/", log.callback());
  ASSERT_TRUE(log.wait_reset());
  (*members)[0]->kill();
  ASSERT_TRUE(log.wait_connected(false));
  for (int i = 0; i < 10; ++i) put_at_last(*writer, "/w/a", std::to_string(i));
  erase_at_last(*writer, "/w/a");
  put_at_last(*writer, "/w/b", "end");
  ASSERT_TRUE((*members)[0]->restart());
  ASSERT_TRUE(log.wait_value("/w/b", "end"));
  std::string story;  // a put of unknown outcome is put again: equal neighbours are one
  for (const WatchEvent& event : log.events()) {
    const std::string word = event.kind == WatchEvent::Kind::kPut ? event.kv.value : "gone";
    if (!story.ends_with(word + " ")) story += word + " ";
  }
  EXPECT_EQ(story, "0 1 2 3 4 5 6 7 8 9 gone end ");
  EXPECT_EQ(log.resets(), 1);
}

TEST(EtcdFaults, a_watch_whose_revision_was_compacted_lists_again_and_tells_what_is_gone) {
  const auto members = start_etcd_cluster(3);
  ASSERT_TRUE(members) << members.error().context;
  const auto cut_off = open_store((*members)[0]->endpoint());
  const auto writer = open_store((*members)[1]->endpoint() + "," + (*members)[2]->endpoint());
  put_at_last(*writer, "/w/goes", "1");
  put_at_last(*writer, "/w/stays", "1");
  WatchLog log;
  const auto watch = cut_off->watch("/w/", log.callback());
  ASSERT_TRUE(log.wait_value("/w/stays", "1"));
  (*members)[0]->kill();
  ASSERT_TRUE(log.wait_connected(false));
  erase_at_last(*writer, "/w/goes");
  put_at_last(*writer, "/w/new", "1");
  const std::int64_t last = put_at_last(*writer, "/w/stays", "2");
  const auto compacted = etcdctl(*(*members)[1], {"compact", std::to_string(last)});
  ASSERT_TRUE(compacted) << compacted.error().context;
  ASSERT_TRUE((*members)[0]->restart());
  ASSERT_TRUE(log.wait_reset(2));
  EXPECT_EQ(log.cache(), (std::map<std::string, std::string>{{"/w/new", "1"}, {"/w/stays", "2"}}));
  bool told_gone = false;
  for (const WatchUpdate& update : log.updates())
    for (const WatchEvent& event : update.events)
      told_gone |= event.kind == WatchEvent::Kind::kDelete && event.kv.key == "/w/goes";
  EXPECT_TRUE(told_gone);
  put_at_last(*writer, "/w/after", "1");
  EXPECT_TRUE(log.wait_value("/w/after", "1"));
}

TEST(EtcdFaults, compaction_under_a_live_watch_disturbs_nothing) {
  EtcdWorld world;
  WatchLog log;
  const auto watch = world.other().watch("/w/", log.callback());
  ASSERT_TRUE(log.wait_reset());
  std::int64_t last = 0;
  for (int i = 0; i < 40; ++i) {
    last = *world.store().put("/w/a", std::to_string(i));
    if (i % 10 != 9) continue;
    ASSERT_TRUE(etcdctl(world.etcd(), {"compact", std::to_string(last)}));
  }
  ASSERT_TRUE(log.wait_value("/w/a", "39"));
  const auto events = log.events();
  EXPECT_EQ(events.size() + (log.resets() - 1) * 10, 40u) << "nothing lost, nothing twice";
}

TEST(EtcdFaults, an_etcd_that_lost_its_data_is_told_as_a_reset) {
  EtcdWorld world;
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(world.store().put("/w/old", std::to_string(i)));
  WatchLog log;
  const auto watch = world.other().watch("/w/", log.callback());
  ASSERT_TRUE(log.wait_value("/w/old", "19"));
  world.etcd().kill();
  std::filesystem::remove_all(world.etcd().options().data_dir + "/data");
  ASSERT_TRUE(world.etcd().restart());
  ASSERT_TRUE(log.wait_gone("/w/old"));
  put_at_last(world.store(), "/w/new", "1");
  EXPECT_TRUE(log.wait_value("/w/new", "1"));
}

TEST(EtcdFaults, a_write_to_a_frozen_etcd_is_unknown_and_may_come_true) {
  EtcdOptions options;
  options.timeout = milliseconds(500);
  EtcdWorld world(options);
  ASSERT_TRUE(world.store().put("/a", "before"));
  WatchLog log;
  const auto watch = world.other().watch("/a", log.callback());
  ASSERT_TRUE(log.wait_value("/a", "before"));
  world.etcd().pause();
  const auto start = steady_clock::now();
  const auto put = world.store().put("/a", "after");
  const auto get = world.store().get("/a");
  EXPECT_LT(steady_clock::now() - start, seconds(10));
  world.etcd().resume();
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Code::kUnknown) << put.error().context;
  ASSERT_FALSE(get);
  EXPECT_EQ(get.error().code, Code::kTimeout) << get.error().context;
  // Read back, as the contract says: it holds one of the two, and a next write goes through.
  std::string value;
  for (const auto until = steady_clock::now() + kPatience; value.empty() && steady_clock::now() < until;) {
    const auto read = world.store().get("/a");
    if (read) value = read->value;
  }
  EXPECT_TRUE(value == "before" || value == "after") << value;
  put_at_last(world.store(), "/a", "again");
  EXPECT_TRUE(log.wait_value("/a", "again"));
}

TEST(EtcdFaults, a_watch_survives_a_pause_of_three_seconds) {
  EtcdWorld world;
  WatchLog log;
  const auto watch = world.other().watch("/w/", log.callback());
  ASSERT_TRUE(log.wait_reset());
  world.etcd().pause();
  std::this_thread::sleep_for(seconds(3));  // the situation itself, not a wait for one
  world.etcd().resume();
  put_at_last(world.store(), "/w/a", "1");
  EXPECT_TRUE(log.wait_value("/w/a", "1"));
  EXPECT_EQ(log.resets(), 1);
}

TEST(EtcdFaults, a_lease_outlives_a_restart_shorter_than_its_ttl) {
  EtcdWorld world;
  Signal lost;
  const auto lease = world.store().grant(seconds(20), [&] { lost.set(); });
  ASSERT_TRUE(lease);
  ASSERT_TRUE(world.store().put("/l", "x", (*lease)->id()));
  const auto before = (*lease)->certain_until();
  world.etcd().kill();
  ASSERT_TRUE(world.etcd().restart());
  for (const auto until = steady_clock::now() + kPatience;
       (*lease)->certain_until() == before && steady_clock::now() < until;)
    std::this_thread::sleep_for(milliseconds(10));
  EXPECT_GT((*lease)->certain_until(), before) << "renewed on the new stream";
  EXPECT_EQ(lost.count(), 0);
  EXPECT_FALSE((*lease)->lost());
}

TEST(EtcdFaults, a_lease_is_declared_lost_before_it_could_have_expired_while_etcd_is_gone) {
  EtcdWorld world;
  std::atomic<steady_clock::time_point> told{};
  Signal lost;
  const auto lease = world.store().grant(seconds(4), [&] {
    told = steady_clock::now();
    lost.set();
  });
  ASSERT_TRUE(lease);
  world.etcd().kill();
  ASSERT_TRUE(lost.wait());
  EXPECT_LT(told.load(), (*lease)->certain_until());
  EXPECT_TRUE((*lease)->lost());
  ASSERT_TRUE(world.etcd().restart());
  EXPECT_TRUE((*lease)->lost()) << "final";
  EXPECT_EQ(lost.count(), 1);
}

TEST(EtcdFaults, an_etcd_that_was_frozen_past_every_lease_is_used_again_under_new_ones) {
  EtcdWorld world;
  Signal lost;
  const auto lease = world.store().grant(seconds(1), [&] { lost.set(); });
  ASSERT_TRUE(lease);
  ASSERT_TRUE(world.store().put("/nodes/a", "x", (*lease)->id()));
  world.etcd().pause();
  ASSERT_TRUE(lost.wait());
  std::this_thread::sleep_for(seconds(1));
  world.etcd().resume();
  std::unique_ptr<Lease> next;
  for (const auto until = steady_clock::now() + kPatience; !next && steady_clock::now() < until;) {
    auto granted = world.store().grant(seconds(2));
    if (granted && world.store().put("/nodes/a", "again", (*granted)->id())) next = std::move(*granted);
  }
  ASSERT_TRUE(next);
  WatchLog log;
  const auto watch = world.other().watch("/nodes/", log.callback());
  ASSERT_TRUE(log.wait_value("/nodes/a", "again"));
  // Shows that nothing happens: the old lease, of one second, has ended by then and must not take the new key.
  std::this_thread::sleep_for(seconds(2));
  EXPECT_EQ(log.cache().count("/nodes/a"), 1u);
  EXPECT_FALSE(next->lost());
}

TEST(EtcdFaults, with_three_members_each_may_die_in_turn) {
  const auto members = start_etcd_cluster(3);
  ASSERT_TRUE(members) << members.error().context;
  std::string endpoints;
  for (const auto& member : *members) endpoints += (endpoints.empty() ? "" : ",") + member->endpoint();
  const auto store = open_store(endpoints);
  WatchLog log;
  const auto watch = store->watch("/w/", log.callback());
  ASSERT_TRUE(log.wait_reset());
  Signal lost;
  const auto lease = store->grant(seconds(8), [&] { lost.set(); });
  ASSERT_TRUE(lease);
  ASSERT_TRUE(store->put("/w/leased", "x", (*lease)->id()));
  for (int i = 0; i < 3; ++i) {
    (*members)[i]->kill();
    put_at_last(*store, "/w/a", std::to_string(i));
    ASSERT_TRUE(log.wait_value("/w/a", std::to_string(i)));
    ASSERT_TRUE((*members)[i]->restart());
  }
  EXPECT_EQ(lost.count(), 0);
  EXPECT_TRUE(store->get("/w/leased"));
  EXPECT_EQ(log.resets(), 1);
}

TEST(EtcdFaults, with_three_members_a_frozen_one_is_left_for_another) {
  const auto members = start_etcd_cluster(3);
  ASSERT_TRUE(members) << members.error().context;
  std::string endpoints;
  for (const auto& member : *members) endpoints += (endpoints.empty() ? "" : ",") + member->endpoint();
  const auto store = open_store(endpoints);
  const auto writer = open_store(endpoints);
  WatchLog log;
  const auto watch = store->watch("/w/", log.callback());
  ASSERT_TRUE(log.wait_reset());
  for (int i = 0; i < 3; ++i) {
    (*members)[i]->pause();
    put_at_last(*writer, "/w/a", std::to_string(i));
    const auto read = store->get("/w/a");  // moves this client off the frozen member, its watch too
    ASSERT_TRUE(read) << read.error().context;
    EXPECT_EQ(read->value, std::to_string(i));
    EXPECT_TRUE(log.wait_value("/w/a", std::to_string(i)));
    (*members)[i]->resume();
    ASSERT_TRUE((*members)[i]->wait_ready());
  }
}

TEST(EtcdFaults, a_leader_that_cannot_reach_etcd_steps_down_and_leads_again_when_it_is_back) {
  EtcdWorld world;
  Signal gained;
  Signal lost;
  coordinator::Election election(
      world.store(), {"/leader", "only", seconds(1)}, [&](const Compare&) { gained.set(); }, [&] { lost.set(); });
  ASSERT_TRUE(gained.wait());
  world.etcd().kill();
  ASSERT_TRUE(lost.wait());
  ASSERT_TRUE(world.etcd().restart());
  ASSERT_TRUE(gained.wait(2));
}

TEST(EtcdFaults, a_watch_that_repairs_itself_finds_nothing_to_tell_when_nothing_was_lost) {
  EtcdOptions options;
  options.repair_every = milliseconds(300);
  EtcdWorld world(options);
  ASSERT_TRUE(world.store().put("/w/a", "0"));
  WatchLog log;
  const auto watch = world.other().watch("/w/", log.callback());
  ASSERT_TRUE(log.wait_reset());
  for (int i = 1; i <= 30; ++i) {
    ASSERT_TRUE(world.store().put("/w/a", std::to_string(i)));
    std::this_thread::sleep_for(milliseconds(40));
  }
  ASSERT_TRUE(log.wait_value("/w/a", "30"));
  int last = 0;
  for (const WatchEvent& event : log.events()) {  // a repair may skip a value between, but never goes back
    EXPECT_GT(std::stoi(event.kv.value), last);
    last = std::stoi(event.kv.value);
  }
  for (const WatchUpdate& update : log.updates()) EXPECT_TRUE(update.connected) << "a repair is no cut";
  EXPECT_EQ(log.resets(), 1);
}

}  // namespace
}  // namespace regroup::testing
