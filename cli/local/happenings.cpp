#include "cli/local/happenings.hpp"

#include "api/records.hpp"
#include "base/now.hpp"
#include "cli/local/processes.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <limits>
#include <thread>

namespace regroup::cli {
namespace {

constexpr std::int64_t kCoordinatorBackAfterMs = 1000;

}  // namespace

void Happenings::injected(Deed deed, const std::string& what) {
  world_.record.inject({wall_ms(), deed, what, world_.record.newest_step()});
  world_.note(fmt::format("event     step {}: {} {}", world_.record.newest_step().value, to_string(deed), what));
}

void Happenings::later(double seconds, std::function<Result<void>()> what) {
  due_.push_back({wall_ms() + static_cast<std::int64_t>(seconds * 1000), std::move(what)});
}

std::string Happenings::choose_node(const ScenarioEvent& event) const {
  if (!event.node.empty()) return event.node;
  const auto nodes = world_.cluster.nodes();
  return nodes.empty() ? "" : nodes.back();
}

// Reads who leads at this moment: one read, not a poll.
Result<void> Happenings::kill_leader() {
  auto leaders = world_.store.list(world_.keys.leader() + "/");
  if (!leaders) {
    later(0.5, [this] { return kill_leader(); });  // etcd is away: the event waits for it
    return {};
  }
  const auto first = std::min_element(leaders->keys.begin(), leaders->keys.end(), [](const auto& a, const auto& b) {
    return a.create_revision < b.create_revision;
  });
  if (first == leaders->keys.end()) {
    world_.note("event     kill-coordinator: nobody leads, nothing done");
    return {};
  }
  const std::string id = first->value;
  if (!world_.cluster.runs_coordinator(id)) {
    world_.note("event     kill-coordinator: " + id +
                ", which led, is dead already and nobody leads yet, nothing done");
    return {};
  }
  injected(Deed::kKillCoordinator, id);
  world_.cluster.kill_coordinator(id);
  due_.push_back({wall_ms() + kCoordinatorBackAfterMs, [this, id] { return world_.cluster.start_coordinator(id); }});
  return {};
}

Result<void> Happenings::disturb_node(const ScenarioEvent& event) {
  const std::string node = choose_node(event);
  if (!world_.cluster.runs(node)) {
    world_.note(fmt::format("event     {} {}: it does not run, nothing done", to_string(event.deed), node));
    return {};
  }
  injected(event.deed, node);
  if (event.deed == Deed::kKillWorker) world_.cluster.signal_workers(node, SIGKILL);
  if (event.deed == Deed::kStopWorker) world_.cluster.signal_workers(node, SIGSTOP);
  if (event.deed == Deed::kKillNode) world_.cluster.kill_node(node);
  if (event.deed == Deed::kStopNode) world_.cluster.signal_node(node, SIGSTOP);
  if (event.deed == Deed::kDrain) world_.cluster.drain_node(node);
  return {};
}

Result<void> Happenings::join(const ScenarioEvent& event) {
  const std::string name = event.node.empty() ? "node-" + std::to_string(++highest_node_) : event.node;
  if (world_.cluster.runs(name)) {
    world_.note("event     join " + name + ": it runs already, nothing done");
    return {};
  }
  injected(event.deed, name);
  return world_.start_node(name);
}

Result<void> Happenings::scale(const ScenarioEvent& event) {
  WishRecord wish;
  wish.kind = WishKind::kScale;
  wish.nodes = event.count;
  injected(event.deed, "to " + std::to_string(event.count));
  auto put = world_.store.put(world_.keys.wish(world_.job, "scale"), to_json(wish));
  if (!put) return put.error().within("the wish to scale");
  return {};
}

Result<void> Happenings::stop_etcd(const ScenarioEvent& event) {
  injected(event.deed, fmt::format("for {:g} s", event.seconds));
  world_.cluster.etcd().kill();
  later(event.seconds, [this]() -> Result<void> {
    if (auto up = world_.cluster.etcd().restart(); !up) return up;
    world_.note("back      etcd answers again");
    return {};
  });
  return {};
}

Result<void> Happenings::freeze_etcd(const ScenarioEvent& event) {
  injected(event.deed, fmt::format("for {:g} s", event.seconds));
  world_.cluster.etcd().pause();
  later(event.seconds, [this]() -> Result<void> {
    world_.cluster.etcd().resume();
    world_.note("back      etcd goes on");
    return {};
  });
  return {};
}

Result<void> Happenings::restart_all(const ScenarioEvent& event) {
  injected(event.deed, "with " + std::to_string(event.count));
  world_.cluster.kill_everything();
  while (!children_of(::getpid()).empty()) {  // SIGKILL is on its way to each
    world_.cluster.unexpected_ends();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  due_.clear();
  if (auto up = world_.cluster.start_control_plane(); !up) return up;
  for (int i = 1; i <= event.count; ++i)
    if (auto one = world_.start_node("node-" + std::to_string(i)); !one) return one;
  highest_node_ = std::max(highest_node_, event.count);
  world_.restarted();
  return {};
}

Result<void> Happenings::perform(const ScenarioEvent& event) {
  switch (event.deed) {
    case Deed::kKillWorker:
    case Deed::kStopWorker:
    case Deed::kKillNode:
    case Deed::kStopNode:
    case Deed::kDrain:
      return disturb_node(event);
    case Deed::kJoin:
      return join(event);
    case Deed::kScale:
      return scale(event);
    case Deed::kKillCoordinator:
      return kill_leader();
    case Deed::kStopEtcd:
      return stop_etcd(event);
    case Deed::kFreezeEtcd:
      return freeze_etcd(event);
    case Deed::kRestartAll:
      return restart_all(event);
  }
  return {};
}

std::int64_t Happenings::next_due_ms() const {
  std::int64_t next = std::numeric_limits<std::int64_t>::max();
  for (const Due& due : due_) next = std::min(next, due.at_ms);
  if (over() || world_.record.first_commit_at_ms() == 0) return next;
  const ScenarioEvent& event = events_[next_event_];
  const std::int64_t at = world_.record.first_commit_at_ms() + event.at_ms;
  // Past and still not done: it waits for its epoch, of which a journal tells.
  return event.at_step >= 0 || at < wall_ms() ? next : std::min(next, at);
}

Result<void> Happenings::do_due() {
  const auto now = wall_ms();
  for (std::size_t i = 0; i < due_.size(); ++i) {
    if (due_[i].at_ms > now) continue;
    const Due due = std::move(due_[i]);
    due_.erase(due_.begin() + static_cast<std::ptrdiff_t>(i));
    if (auto done = due.what(); !done) return done;
    i = static_cast<std::size_t>(-1);  // the list may have changed
  }
  while (next_event_ < events_.size()) {
    const ScenarioEvent& event = events_[next_event_];
    const bool by_step = event.at_step >= 0;
    const bool is_due =
        by_step ? world_.record.newest_step().value >= event.at_step &&
                      (event.at_step == 0 || world_.record.newest_step().value > 0)
                : world_.record.first_commit_at_ms() > 0 && now - world_.record.first_commit_at_ms() >= event.at_ms;
    const bool planned = event.at_epoch == 0 ||
                         (!world_.record.plans().empty() &&
                          static_cast<std::int64_t>(world_.record.plans().rbegin()->first.value) >= event.at_epoch);
    if (!is_due || !planned) break;
    ++next_event_;
    if (auto done = perform(event); !done) return done;
  }
  return {};
}

}  // namespace regroup::cli
