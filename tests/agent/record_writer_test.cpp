// What the node says in etcd stays true through lost leases, outages and another agent of the same name.
#include "agent/record_writer.hpp"

#include "api/records.hpp"
#include "tests/etcd/memory_store.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

namespace regroup::agent {
namespace {

using namespace std::chrono_literals;

const std::string kNode = "/regroup/c/nodes/a", kNotice = "/regroup/c/notices/a", kProgress = "/regroup/c/progress/a";

// Notes what a writer asks of it.
class NotingStore final : public MemoryStore {
 public:
  Result<KeyValue> get(const std::string& key) override { return noted(MemoryStore::get(key)); }
  Result<TxnResult> txn(const std::vector<Compare>& when, const std::vector<Op>& then,
                        const std::vector<Op>& otherwise) override {
    auto result = MemoryStore::txn(when, then, otherwise);
    if (result && result->succeeded) {
      const std::lock_guard lock(mutex_);
      for (const Op& op : then) written_.push_back(op.key);
    }
    return noted(std::move(result));
  }
  Result<std::unique_ptr<Lease>> grant(std::chrono::milliseconds ttl, std::function<void()> on_lost) override {
    return noted(MemoryStore::grant(ttl, std::move(on_lost)));
  }

  // Waits for the condition, which is looked at after every call and every note(). It may not call this store's own
  // functions, but MemoryStore's.
  bool soon(const std::function<bool()>& holds) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 5s, holds);
  }
  void note() {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  }
  bool soon_asked(int times) {
    return soon([&] { return asked_ >= times; });
  }
  bool soon_asked_in_vain(int times) {
    return soon([&] { return asked_in_vain_ >= times; });
  }
  [[nodiscard]] std::string value(const std::string& key) {
    const auto found = MemoryStore::get(key);
    return found ? found->value : "";
  }
  [[nodiscard]] std::vector<std::string> written() {  // keys, in order
    const std::lock_guard lock(mutex_);
    return written_;
  }

 private:
  template <class T>
  Result<T> noted(Result<T> result) {
    const std::lock_guard lock(mutex_);
    ++asked_;
    if (!result && result.error().code == Code::kUnavailable) ++asked_in_vain_;
    changed_.notify_all();
    return result;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int asked_ = 0, asked_in_vain_ = 0;
  std::vector<std::string> written_;
};

struct World {
  explicit World(std::chrono::milliseconds ttl = 200ms) {
    options.node_key = kNode;
    options.incarnation = 7;
    options.word_before = "a1";
    options.ttl = ttl;
    events.lost = [this] {
      ++losses;
      store.note();
    };
    events.refused = [this](const std::string& reason) {
      {
        const std::lock_guard lock(mutex);
        refused = reason;
      }
      store.note();
    };
  }
  void start() { writer.emplace(store, options, events, 5ms); }
  [[nodiscard]] std::string at(const std::string& key) { return store.value(key); }
  bool soon(const std::function<bool()>& holds) { return store.soon(holds); }
  [[nodiscard]] static std::string node(std::uint64_t incarnation, const std::string& word) {
    NodeRecord record;
    record.node = NodeId("a");
    record.incarnation = incarnation;
    record.agent_address = "unix:/there";
    record.labels = {{"host", "h"}, {"directory", "/run/a"}, {"word", word}};
    return to_json(record);
  }

  NotingStore store;
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
  ASSERT_TRUE(w.store.soon_asked(1));  // for a lease
  w.writer->put_leased(kNode, "me");
  EXPECT_TRUE(w.soon([&] { return w.at(kNode) == "me" && w.at(kProgress) == "7"; }));
  EXPECT_TRUE(w.writer->registered());
  EXPECT_EQ(w.store.written().front(), kNode);
}

TEST(RecordWriter, after_a_lost_lease_everything_leased_stands_again) {
  World w;
  w.start();
  w.writer->put_leased(kNode, "me");
  w.writer->put_leased(kNotice, "drain");
  ASSERT_TRUE(w.soon([&] { return w.at(kNotice) == "drain"; }));
  w.store.expire(w.store.get(kNode)->lease);
  EXPECT_TRUE(w.soon([&] { return w.losses == 1 && w.at(kNode) == "me" && w.at(kNotice) == "drain"; }));
}

TEST(RecordWriter, a_node_with_nothing_new_to_say_comes_back_after_an_outage_longer_than_its_lease) {
  World w(50ms);
  w.start();
  w.writer->put_leased(kNode, "me");
  ASSERT_TRUE(w.soon([&] { return w.at(kNode) == "me"; }));
  w.store.set_reachable(false);
  ASSERT_TRUE(w.soon([&] { return w.losses > 0; }));
  ASSERT_TRUE(w.store.soon_asked_in_vain(3));
  w.store.set_reachable(true);
  EXPECT_TRUE(w.soon([&] { return w.at(kNode) == "me" && w.writer->registered(); }));
}

TEST(RecordWriter, what_is_said_during_an_outage_is_written_afterwards_and_newest_alone) {
  World w(10s);
  w.start();
  w.writer->put_leased(kNode, "me");
  ASSERT_TRUE(w.soon([&] { return w.at(kNode) == "me"; }));
  w.store.set_reachable(false);
  w.writer->put_leased(kNotice, "drain");
  w.writer->put_lasting(kProgress, "1");
  ASSERT_TRUE(w.store.soon_asked_in_vain(1));
  w.writer->put_lasting(kProgress, "2");
  w.writer->erase_leased(kNotice);
  w.store.set_reachable(true);
  EXPECT_TRUE(w.soon([&] { return w.at(kProgress) == "2"; }));
  EXPECT_EQ(w.at(kNotice), "");
  EXPECT_EQ(w.store.get(kProgress)->version, 1);
}

TEST(RecordWriter, a_key_that_this_directory_left_behind_is_taken_over) {
  World w;
  ASSERT_TRUE(w.store.put(kNode, World::node(6, "a1")));
  w.start();
  w.writer->put_leased(kNode, "me");
  EXPECT_TRUE(w.soon([&] { return w.at(kNode) == "me"; }));
}

TEST(RecordWriter, a_name_that_a_live_agent_holds_is_refused) {
  World w(50ms);
  ASSERT_TRUE(w.store.put(kNode, World::node(6, "b2")));
  w.start();
  w.writer->put_leased(kNode, "me");
  ASSERT_TRUE(w.soon([&] {
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
  ASSERT_TRUE(w.soon([&] { return w.at(kNode) == "me"; }));
  w.writer->leave();
  EXPECT_EQ(w.at(kNode), "");
  w.writer->put_leased(kNode, "me again");
  w.writer.reset();  // its thread has done whatever it would do
  EXPECT_EQ(w.at(kNode), "");
}

}  // namespace
}  // namespace regroup::agent
