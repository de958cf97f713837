#include "agent/shell.hpp"

#include "agent/account.hpp"
#include "base/log.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace regroup::agent {
namespace {

using Clock = std::chrono::steady_clock;

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
      workers_({options_.worker_program, options_.sockets, options_.directory, options_.facts.agent_address,
                options_.peer_memory},
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
  lease.host = options_.facts.labels["host"];
  lease.directory = options_.facts.labels["directory"];
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
  {
    const std::lock_guard core_lock(core_mutex_);
    records_ = std::make_unique<RecordWriter>(store_, lease, events);
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
      const std::lock_guard core_lock(core_mutex_);
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
  records_->leave();
  const LockGuard lock(refused_mutex_);
  if (refused_.empty()) return 0;
  log::error("node_refused", {{"reason", refused_}});
  journal_.quits(refused_);
  return 1;
}

// Journal and counters: what happened, before anything is decided about it.
void AgentShell::observe(const Event& event) {
  const std::int64_t wall_ms = read_clocks().wall_ms;
  const JobSpec* job = core_.job() ? &*core_.job() : nullptr;
  if (const auto* says = std::get_if<WorkerSays>(&event)) {
    journal_.said(says->worker, says->message);
    counters_.change(
        [&](auto& c) { account(c, job, core_.plan() ? &*core_.plan() : nullptr, says->message, wall_ms); });
  } else if (const auto* kept = std::get_if<SnapshotKept>(&event)) {
    journal_.kept(*kept);
    counters_.change([&](auto& c) { account(c, *kept, wall_ms); });
    if (!kept->problem.empty())
      log::warn("snapshot_not_safe", {{"step", kept->step.value}, {"buddy", kept->buddy}, {"reason", kept->problem}});
  } else if (const auto* saved = std::get_if<CheckpointSaved>(&event)) {
    journal_.saved(*saved);
    counters_.change([&](auto& c) { account(c, *saved, wall_ms); });
    if (!saved->problem.empty())
      log::error("checkpoint_failed",
                 {{"step", saved->step.value}, {"reason", saved->problem}, {"note", "training goes on"}});
  } else if (const auto* ended = std::get_if<WorkerEnded>(&event)) {
    bool asked = true;
    std::string text;
    for (const Slot& slot : core_.slots()) {
      if (!slot.running || slot.worker.id != ended->worker) continue;
      asked = slot.asked_to_end;
      text = slot.worker.text;
    }
    journal_.ended(ended->worker, ended->signal, ended->status, asked, text);
    log::info(
        "worker_ended",
        {{"worker", to_string(ended->worker)}, {"signal", ended->signal}, {"status", ended->status}, {"asked", asked}});
    if (!asked)
      counters_.change([](auto& c) {
        ++c.worker_failures;
        ++c.suspicions[Evidence::kExit];  // the agent's own evidence; workers report the others
      });
    workers_.forget(ended->worker);
  } else if (const auto* planned = std::get_if<PlanKnown>(&event)) {
    journal_.plan(planned->plan);
    log::info("plan_seen", {{"epoch", planned->plan.epoch.value},
                            {"cause", to_string(planned->plan.cause)},
                            {"members", planned->plan.members.size()},
                            {"reason", planned->plan.reason}});
  } else if (std::holds_alternative<Terminate>(event)) {
    log::info("asked_to_go", {{"draining_already", core_.draining()}});
  }
}

void AgentShell::perform(const Action& action) {
  std::visit([this](const auto& one) { do_one(one); }, action);
}

void AgentShell::do_one(const FollowJob& action) {
  log::info("follows_job", {{"job", action.job}});
  counters_.change([&](auto& c) { follow(c, action.job); });
  watches_->follow(action.job);
}

void AgentShell::do_one(const WorkFor& action) {
  if (action.job) {
    keeper_->work_for(*action.job);
  } else {
    keeper_->work_for_none();
  }
}

void AgentShell::do_one(const StartWorker& action) {
  const auto pid = workers_.start(action);
  counters_.change([](auto& c) { ++c.worker_starts; });
  if (!pid) {
    log::error("worker_not_started", {{"reason", to_string(pid.error())}});
    return inbox_.post(WorkerEnded{action.worker, 0, 127});
  }
  journal_.started(action.worker, *pid);
  log::info("worker_started", {{"worker", to_string(action.worker)}, {"pid", *pid}});
}

void AgentShell::do_one(const KeepSpare&) {
  const auto pid = workers_.start_spare();
  if (!pid)
    return log::warn("no_spare", {{"reason", to_string(pid.error())}, {"note", "the next worker starts more slowly"}});
  log::info("spare_started", {{"pid", *pid}});
}

void AgentShell::do_one(const KillWorker& action) {
  log::info("worker_killed", {{"worker", to_string(action.worker)}, {"reason", action.reason}});
  if (const auto found = workers_.find(action.worker)) found->kill();
}

void AgentShell::do_one(const Tell& action) {
  if (const auto found = workers_.find(action.worker)) found->tell(action.message);
}

void AgentShell::do_one(const GrantArena& action) {
  const auto found = workers_.find(action.worker);
  if (!found) return;
  granting_->post([this, action, worker = found] {
    auto slots = keeper_->grant(action.worker, action.slots, action.bytes);
    if (!slots) {
      log::error("no_memory_for_snapshots", {{"bytes", action.bytes},
                                             {"slots", action.slots},
                                             {"reason", to_string(slots.error())},
                                             {"note", "the worker goes on without"}});
      return worker->tell(ArenaGrant{-1, action.bytes});
    }
    for (std::size_t i = 0; i < slots->size(); ++i)
      worker->tell(ArenaGrant{static_cast<int>(i), action.bytes}, (*slots)[i]);
  });
}

void AgentShell::do_one(const TakeSnapshot& action) {
  keeper_->take({action.worker, action.taken, action.buddy, action.fingerprint});
}
void AgentShell::do_one(const CancelSaves& action) { keeper_->cancel_saves_before(action.before); }
void AgentShell::do_one(const PutLeased& action) { records_->put_leased(action.key, action.value); }
void AgentShell::do_one(const EraseLeased& action) { records_->erase_leased(action.key); }
void AgentShell::do_one(const PutLasting& action) { records_->put_lasting(action.key, action.value); }

void AgentShell::do_one(const Refused& action) {
  log::error("plan_refused", {{"reason", action.text}});
  journal_.refused(action.text);
}

void AgentShell::do_one(const Quit& action) {
  log::info("agent_quits", {{"reason", action.reason}});
  journal_.quits(action.reason);
  quit_ = true;
}

metrics::AgentCounters AgentShell::counters() const {
  metrics::AgentCounters counters = counters_.copy();
  const std::lock_guard core_lock(core_mutex_);
  counters.workers = static_cast<int>(
      std::count_if(core_.slots().begin(), core_.slots().end(), [](const Slot& slot) { return slot.running; }));
  counters.registered = registered();
  counters.draining = core_.draining();
  return counters;
}

std::string AgentShell::status_json() const {
  const std::lock_guard core_lock(core_mutex_);
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
