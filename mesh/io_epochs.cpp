// io_epochs.cpp: how an epoch is entered, and how older ones are cut off. Part of IoThread (io_thread.hpp).
#include "mesh/io_thread.hpp"

#include <algorithm>

namespace regroup::mesh {

Error IoThread::newer_epoch(Epoch epoch) {
  return {Code::kNewerEpoch, "epoch " + std::to_string(epoch.value) + " is there: stop and go on in it"};
}

void IoThread::on(Announce& command) {
  if (command.newer <= floor_) return;
  meet_until_ = Pulse::Time::max();
  cut_all(command.newer, newer_epoch(command.newer));
  if (entering_ && entering_->epoch < command.newer) finish_enter(newer_epoch(command.newer));
}

void IoThread::on(Enter& command) {
  const auto& request = command.request;
  finish_enter(newer_epoch(request->epoch));  // one that timed out
  const bool passed = state_.newest > request->epoch.value;
  cut_all(request->epoch, newer_epoch(request->epoch));
  for (const auto& [id, link] : links_.mine()) {
    for (const auto& connection : link->lanes.mine()) {
      // of the same epoch, entered anew
      if (connection) connection->cut(Epoch{request->epoch.value + 1}, newer_epoch(request->epoch));
    }
    link->takes_part = link->never_met = link->gap = false;
  }
  entered_ = request->epoch;
  std::vector<std::shared_ptr<Link>> links;
  for (const ResolvedPeer& peer : request->peers) {
    if (peer.id == options_.self) {
      links.push_back(nullptr);
      continue;
    }
    const auto link = make_link(peer.id);
    link->takes_part = true;
    link->never_met = !link->connected();
    link->gap = link->arrivals.broken(entered_);
    link->pulse.restart(running_);
    links.push_back(link);
  }
  for (const auto& [id, link] : links_.mine()) link->arrivals.open(entered_, link->takes_part);
  request->begin(std::move(links));
  entering_ = request;
  meet_until_ = passed ? Pulse::Time::max() : running_ + 5 * options_.heartbeat;
  if (passed) return finish_enter(newer_epoch(Epoch{state_.newest}));
  want(request->peers);
  forget_strangers();
  resume();
  for (const auto& [id, link] : links_.mine()) {
    if (link->connected()) report_gap(link);
  }
  check_enter();
}

void IoThread::cut_all(Epoch below, const Error& why) {
  floor_ = std::max(floor_, below);
  for (const auto& [id, link] : links_.mine()) {
    link->arrivals.close_below(below, why);
    for (const auto& connection : link->lanes.mine()) {
      if (connection) connection->cut(below, why);
    }
  }
  resume();
}

void IoThread::finish_enter(Result<void> outcome) {
  if (!entering_) return;
  entering_->end(std::move(outcome));
  entering_.reset();
}

void IoThread::check_enter() {
  if (!entering_) return;
  for (const auto& [id, link] : links_.mine()) {
    if (link->takes_part && !link->connected()) return;
  }
  finish_enter({});
}

}  // namespace regroup::mesh
