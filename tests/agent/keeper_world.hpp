// keeper_world.hpp: keepers with real sockets, and stand-ins for their workers: real memfds filled with values that say
// where they belong.
#pragma once

#include "agent/snapshots/keeper.hpp"
#include "api/snapshots/snapshot_client.hpp"
#include "layout/units.hpp"
#include "tests/checkpoint/support.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>

namespace regroup::testing {

using checkpoint::expect_equal;
using checkpoint::make_state;
using checkpoint::State;
using checkpoint::TempDir;
using namespace agent;
using namespace std::chrono_literals;

inline JobSpec test_job(const std::string& name = "job", const std::string& secret = "5ec7e7") {
  JobSpec job;
  job.name = name;
  job.secret = secret;
  job.model = tiny_shape();
  job.seed = 7;
  job.data_digest = "data";
  return job;
}

// What the keeper says, waited for.
template <class Event>
class Mailbox {
 public:
  void put(const Event& event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(event);
    changed_.notify_all();
  }
  Event next() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, 60s, [this] { return !events_.empty(); })) {
      ADD_FAILURE() << "no event came";
      return {};
    }
    Event event = events_.front();
    events_.pop_front();
    return event;
  }
  std::size_t waiting() {
    const std::lock_guard lock(mutex_);
    return events_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Event> events_;
};

struct KeeperNode {
  explicit KeeperNode(const JobSpec& of = test_job(), std::chrono::milliseconds idle = 5s, std::string listen = {},
                      const PeerLimits& limits = {})
      : job(of) {
    KeeperOptions options;
    options.listen = listen.empty() ? "unix:" + dir.path() + "/peers" : listen;
    options.idle = idle;
    options.limits = limits;
    auto started = SnapshotKeeper::start(options, {[this](const SnapshotKept& event) { kept.put(event); },
                                                   [this](const CheckpointSaved& event) { saved.put(event); }});
    if (!started) throw std::runtime_error(to_string(started.error()));
    keeper = std::move(*started);
    keeper->work_for(job);
  }
  std::unique_ptr<SnapshotClient> client() const {
    auto connected = SnapshotClient::connect(keeper->address(), job.name, job.secret, 30s);
    if (!connected) throw std::runtime_error(to_string(connected.error()));
    return std::move(*connected);
  }
  // "node/step" of all that is listed.
  std::vector<std::string> listed() const {
    std::vector<std::string> out;
    auto list = client()->list();
    if (!list) throw std::runtime_error(to_string(list.error()));
    for (const HeldSnapshot& held : *list)
      out.push_back(held.taken_by.node.value + "/" + std::to_string(held.info.step.value));
    return out;
  }

  TempDir dir;
  JobSpec job;
  Mailbox<SnapshotKept> kept;
  Mailbox<CheckpointSaved> saved;
  std::unique_ptr<SnapshotKeeper> keeper;  // first to go: it may still speak
};

inline WorkerId worker_on(const std::string& node, int slot = 0, int start = 0) {
  return {NodeId(node), 0xabc, slot, start};
}

inline float value_at(Step step, int unit, int array, std::int64_t element) {
  return static_cast<float>((step.value * 31 + unit * 7 + array) % 97) + static_cast<float>(element % 1021) / 1024.0F;
}

// Maps what it was granted, as a worker does.
class StandInWorker {
 public:
  StandInWorker(KeeperNode& node, WorkerId id, int slots = 3, std::int64_t bytes = 4 << 20)
      : node_(node), id_(std::move(id)), bytes_(static_cast<std::size_t>(bytes)) {
    auto granted = node.keeper->grant(id_, slots, bytes);
    if (!granted) throw std::runtime_error(to_string(granted.error()));
    for (int fd : *granted)
      slots_.push_back(static_cast<std::byte*>(::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)));
  }
  ~StandInWorker() {
    for (std::byte* slot : slots_) ::munmap(slot, bytes_);
  }
  StandInWorker(const StandInWorker&) = delete;
  StandInWorker& operator=(const StandInWorker&) = delete;

  std::byte* slot(int index) { return slots_[static_cast<std::size_t>(index)]; }
  const WorkerId& id() const { return id_; }

  // Fills the slot and lays the entries out in it; offsets are set.
  void fill(int slot_index, Step step, std::vector<SnapshotEntry>& entries, const State* state = nullptr) {
    std::int64_t offset = 0;
    for (SnapshotEntry& entry : entries) {
      entry.offset = offset;
      const Unit& unit = units_[static_cast<std::size_t>(entry.unit)];
      auto* to = reinterpret_cast<float*>(slot(slot_index) + offset);
      for (int array = 0; array < 3; ++array) {
        for (std::int64_t e = entry.blocks.lo * unit.block_elements; e < entry.blocks.hi * unit.block_elements; ++e)
          *to++ = state != nullptr ? (*state)[static_cast<std::size_t>(entry.unit)]
                                             [static_cast<std::size_t>(array * unit.padded_numel() + e)]
                                   : value_at(step, entry.unit, array, e);
      }
      offset += 3 * entry.blocks.size() * unit.block_elements * 4;
    }
  }
  TakeRequest request(int slot_index, Step step, std::vector<SnapshotEntry> entries, Step safe = Step(-1),
                      const std::string& buddy = {}) {
    TakeRequest out;
    out.worker = id_;
    out.taken.info = {step, Epoch(1), slot_index, std::move(entries), safe, {step.value, 1}};
    out.buddy = buddy;
    out.fingerprint = "fingerprint";
    return out;
  }
  SnapshotKept take(int slot_index, Step step, std::vector<SnapshotEntry> entries, Step safe = Step(-1),
                    const std::string& buddy = {}) {
    fill(slot_index, step, entries);
    node_.keeper->take(request(slot_index, step, std::move(entries), safe, buddy));
    return node_.kept.next();
  }

 private:
  KeeperNode& node_;
  WorkerId id_;
  std::size_t bytes_;
  std::vector<std::byte*> slots_;
  std::vector<Unit> units_ = make_units(tiny_shape());
};

inline Result<void> fetch(SnapshotClient& client, Step step, int unit, Interval blocks, std::vector<float>& into) {
  const auto units = make_units(tiny_shape());
  into.assign(static_cast<std::size_t>(3 * blocks.size() * units[static_cast<std::size_t>(unit)].block_elements),
              -1.0F);
  return client.fetch(step, unit, blocks, into);
}

inline void expect_fetches(SnapshotClient& client, Step step, int unit, Interval blocks) {
  std::vector<float> got;
  const auto fetched = fetch(client, step, unit, blocks, got);
  ASSERT_TRUE(fetched) << to_string(fetched.error());
  const std::int64_t block_elements = make_units(tiny_shape())[static_cast<std::size_t>(unit)].block_elements;
  std::size_t at = 0;
  for (int array = 0; array < 3; ++array) {
    for (std::int64_t e = blocks.lo * block_elements; e < blocks.hi * block_elements; ++e, ++at)
      ASSERT_EQ(got[at], value_at(step, unit, array, e)) << "array " << array << " element " << e;
  }
}

inline Code fetch_code(SnapshotClient& client, Step step, int unit, Interval blocks) {
  std::vector<float> got;
  const auto fetched = fetch(client, step, unit, blocks, got);
  if (fetched) {
    ADD_FAILURE() << "fetched what is not there";
    return Code::kInternal;
  }
  return fetched.error().code;
}

}  // namespace regroup::testing
