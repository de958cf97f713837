// What the node says in etcd stays true through lost leases, outages and another agent of the same name.
#include "agent/record_writer.hpp"

#include "api/records.hpp"
#include "tests/etcd/memory_store.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace regroup::agent {
namespace {

using namespace std::chrono_literals;

const std::string kNode = "/regroup/c/nodes/a", kNotice = "/regroup/c/notices/a", kProgress = "/regroup/c/progress/a";

bool soon(const std::function<bool()>& true_by_then) {
  for (const auto until = std::chrono::steady_clock::now() + 5s; std::chrono::steady_clock::now() < until;) {
    if (true_by_then()) return true;
    std::this_thread::sleep_for(2ms);
  }
  return false;
}

struct World {
  explicit World(std::chrono::milliseconds ttl = 200ms) {
    options.node_key = kNode;
    options.incarnation = 7;
    options.directory = "/run/a";
    options.host = "h";
    options.ttl = ttl;
    events.lost = [this] { ++losses; };
    events.refused = [this](const std::string& reason) {
      const std::lock_guard lock(mutex);
      refused = reason;
    };
  }
  void start() { writer.emplace(store, options, events, 5ms); }
  [[nodiscard]] std::string at(const std::string& key) {
    const auto found = store.get(key);
    return found ? found->value : "";
  }
  [[nodiscard]] static std::string node(std::uint64_t incarnation, const std::string& directory) {
    NodeRecord record;
    record.node = NodeId("a");
    record.incarnation = incarnation;
    record.agent_address = "unix:/there";
    record.labels = {{"host", "h"}, {"directory", directory}};
    return to_json(record);
  }

  MemoryStore store;
  NodeLeaseOptions options;
  NodeLeaseEvents events;
  std::atomic<int> losses{0};
  std::mutex mutex;
  std::string refused;
  std::optional<RecordWriter> writer;
};

TEST(RecordWriter, nothing_is_written_before_the_node_has_its_name) {
  World w;
  w.start();
  w.writer->put_lasting(kProgress, "7");
  std::this_thread::sleep_for(30ms);
  EXPECT_EQ(w.at(kProgress), "");
  w.writer->put_leased(kNode, "me");
  EXPECT_TRUE(soon([&] { return w.at(kNode) == "me" && w.at(kProgress) == "7"; }));
  EXPECT_TRUE(w.writer->registered());
}

TEST(RecordWriter, after_a_lost_lease_everything_leased_stands_again) {
  World w;
  w.start();
  w.writer->put_leased(kNode, "me");
  w.writer->put_leased(kNotice, "drain");
  ASSERT_TRUE(soon([&] { return w.at(kNotice) == "drain"; }));
  w.store.expire(w.store.get(kNode)->lease);
  EXPECT_TRUE(soon([&] { return w.losses == 1 && w.at(kNode) == "me" && w.at(kNotice) == "drain"; }));
}

TEST(RecordWriter, a_node_with_nothing_new_to_say_comes_back_after_an_outage_longer_than_its_lease) {
  World w(50ms);
  w.start();
  w.writer->put_leased(kNode, "me");
  ASSERT_TRUE(soon([&] { return w.at(kNode) == "me"; }));
  w.store.set_reachable(false);
  ASSERT_TRUE(soon([&] { return w.losses > 0; }));
  std::this_thread::sleep_for(50ms);  // some leases are asked for in vain
  w.store.set_reachable(true);
  EXPECT_TRUE(soon([&] { return w.at(kNode) == "me" && w.writer->registered(); }));
}

TEST(RecordWriter, what_is_said_during_an_outage_is_written_afterwards_and_newest_alone) {
  World w(10s);
  w.start();
  w.writer->put_leased(kNode, "me");
  ASSERT_TRUE(soon([&] { return w.at(kNode) == "me"; }));
  w.store.set_reachable(false);
  w.writer->put_leased(kNotice, "drain");
  w.writer->put_lasting(kProgress, "1");
  std::this_thread::sleep_for(30ms);  // the first attempt has failed
  w.writer->put_lasting(kProgress, "2");
  w.writer->erase_leased(kNotice);
  w.store.set_reachable(true);
  EXPECT_TRUE(soon([&] { return w.at(kProgress) == "2"; }));
  EXPECT_EQ(w.at(kNotice), "");
  EXPECT_EQ(w.store.get(kProgress)->version, 1);
}

TEST(RecordWriter, a_key_that_this_directory_left_behind_is_taken_over) {
  World w;
  ASSERT_TRUE(w.store.put(kNode, World::node(6, "/run/a")));
  w.start();
  w.writer->put_leased(kNode, "me");
  EXPECT_TRUE(soon([&] { return w.at(kNode) == "me"; }));
}

TEST(RecordWriter, a_name_that_a_live_agent_holds_is_refused) {
  World w(50ms);
  ASSERT_TRUE(w.store.put(kNode, World::node(6, "/run/b")));
  w.start();
  w.writer->put_leased(kNode, "me");
  ASSERT_TRUE(soon([&] {
    const std::lock_guard lock(w.mutex);
    return !w.refused.empty();
  }));
  EXPECT_NE(w.refused.find("unix:/there on host h"), std::string::npos) << w.refused;
  EXPECT_FALSE(w.writer->registered());
}

TEST(RecordWriter, who_leaves_is_gone_at_once_and_stays_gone) {
  World w(10s);
  w.start();
  w.writer->put_leased(kNode, "me");
  ASSERT_TRUE(soon([&] { return w.at(kNode) == "me"; }));
  w.writer->leave();
  EXPECT_EQ(w.at(kNode), "");
  w.writer->put_leased(kNode, "me again");
  std::this_thread::sleep_for(30ms);
  EXPECT_EQ(w.at(kNode), "");
}

}  // namespace
}  // namespace regroup::agent
