#include "agent/shell.hpp"

#include "agent/worker_environment.hpp"
#include "base/log.hpp"
#include "base/now.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace regroup::agent {
namespace {

// More than a healthy loop ever lets wait; then workers are held up, and etcd's news become one each.
constexpr std::size_t kMostEvents = 4096;

// Of what etcd says the newest of each kind is all that counts: it replaces the one that waits.
Folded replaces(Event& queued, Event& event) {
  if (queued.index() != event.index()) return Folded::kNotKin;
  queued = std::move(event);
  return Folded::kTaken;
}

}  // namespace

AgentShell::AgentShell(Store& store, ShellOptions options)
    : store_(store),
      options_(std::move(options)),
      keys_(options_.facts.cluster),
      core_(options_.facts),
      inbox_(kMostEvents),
      journal_(options_.directory + "/journal.jsonl", options_.facts.node),
      workers_({options_.worker_program, worker_environment(options_.facts.worker_settings), options_.sockets,
                options_.directory, options_.facts.agent_address, options_.peer_memory},
               {[this](WorkerSays says) { inbox_.post_or_wait(std::move(says)); },
                [this](const WorkerEnded& ended) { inbox_.post(ended); }}),
      granting_(std::make_unique<WorkQueue>()) {}

Result<std::unique_ptr<AgentShell>> AgentShell::open(Store& store, ShellOptions options,
                                                     const std::string& keeper_listen) {
  // The keeper's address belongs to the node's facts, so it comes first; nothing is taken before run().
  auto target = std::make_shared<AgentShell*>(nullptr);
  KeeperEvents events;
  events.on_kept = [target](const SnapshotKept& kept) { (*target)->inbox_.post(kept); };
  events.on_saved = [target](const CheckpointSaved& saved) { (*target)->inbox_.post(saved); };
  KeeperOptions keeper_options;
  keeper_options.listen = keeper_listen;
  auto keeper = SnapshotKeeper::start(keeper_options, std::move(events));
  if (!keeper) return keeper.error();
  options.facts.agent_address = (*keeper)->address();
  std::unique_ptr<AgentShell> shell(new AgentShell(store, std::move(options)));
  *target = shell.get();
  shell->keeper_ = std::move(*keeper);
  return shell;
}

AgentShell::~AgentShell() {
  inbox_.close();  // no thread that is joined below waits for room in it
  watches_.reset();
  records_.reset();
  granting_.reset();
  workers_.end_all();
  keeper_.reset();
}

void AgentShell::terminate() { inbox_.post(Terminate{}); }

int AgentShell::run() {
  NodeLeaseOptions lease;
  lease.node_key = keys_.node(options_.facts.node);
  lease.incarnation = options_.facts.incarnation;
  lease.word_before = options_.word_before;
  lease.ttl = options_.lease_ttl;
  NodeLeaseEvents events;
  events.refused = [this](const std::string& reason) {
    {
      const LockGuard lock(refused_mutex_);
      refused_ = reason;
    }
    inbox_.close();
  };
  events.lost = [this] {
    counters_.change([](auto& c) { ++c.lease_losses; });
    journal_.lease_lost();
  };
  auto made = std::make_unique<RecordWriter>(store_, lease, events);
  RecordWriter& records = *made;
  {
    const LockGuard core_lock(core_mutex_);
    records_ = std::move(made);
  }
  watches_ = std::make_unique<Watches>(store_, keys_, options_.facts.node,
                                       [this](Event event) { inbox_.post_or_fold(std::move(event), replaces); });

  Instant next_tick = Clock::now(), last_tick = next_tick;
  while (!quit_ && !inbox_.closed()) {
    std::deque<Event> happened = inbox_.wait_until(next_tick);
    if (Clock::now() >= next_tick) {
      happened.emplace_back(Tick{keeper_->saves_under_way()});
      last_tick = Clock::now();
    }
    {
      const LockGuard core_lock(core_mutex_);
      for (const Event& event : happened) {
        observe(event);
        for (const Action& action : core_.step(read_clocks(), event)) perform(action);
        if (quit_) break;
      }
      next_tick =
          core_.draining() ? last_tick + options_.drain_tick : std::min(last_tick + options_.tick, core_.next_look());
    }
  }
  inbox_.close();
  watches_.reset();
  workers_.end_all();
  records.leave();
  const LockGuard lock(refused_mutex_);
  if (refused_.empty()) return 0;
  log::error("node_refused", {{"reason", refused_}});
  journal_.quits(refused_);
  return 1;
}

metrics::AgentCounters AgentShell::counters() const {
  metrics::AgentCounters counters = counters_.copy();
  const LockGuard core_lock(core_mutex_);
  counters.workers = static_cast<int>(
      std::count_if(core_.slots().begin(), core_.slots().end(), [](const Slot& slot) { return slot.running; }));
  counters.registered = registered();
  counters.draining = core_.draining();
  return counters;
}

std::string AgentShell::trouble() const {
  const LockGuard core_lock(core_mutex_);
  return records_ ? records_->trouble() : "";
}

std::string AgentShell::status_json() const {
  const LockGuard core_lock(core_mutex_);
  nlohmann::json status = {{"node", options_.facts.node.value},
                           {"cluster", options_.facts.cluster},
                           {"registered", registered()},
                           {"draining", core_.draining()},
                           {"job", core_.job() ? core_.job()->name : ""},
                           {"epoch", core_.plan() ? core_.plan()->epoch.value : 0},
                           {"workers", nlohmann::json::array()}};
  for (const Slot& slot : core_.slots()) {
    status["workers"].push_back({{"slot", slot.index},
                                 {"running", slot.running},
                                 {"id", to_string(slot.worker.id)},
                                 {"state", to_string(slot.worker.state)},
                                 {"text", slot.worker.text},
                                 {"starts", slot.starts}});
  }
  return status.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace regroup::agent
