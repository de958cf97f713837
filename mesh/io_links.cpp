// io_links.cpp: how peers become connected and get lost. Part of IoThread (io_thread.hpp).
#include "base/log.hpp"
#include "mesh/io_thread.hpp"

#include <algorithm>
#include <utility>

namespace regroup::mesh {
namespace {

using std::chrono::milliseconds;

}  // namespace

std::shared_ptr<Link> IoThread::find_link(const WorkerId& id) {
  const auto found = links_.mine().find(id);
  return found == links_.mine().end() ? nullptr : found->second;
}

std::shared_ptr<Link> IoThread::make_link(const WorkerId& id) {
  if (auto known = find_link(id)) return known;
  auto link = std::make_shared<Link>(id, state_.unmatched);
  link->arrivals.close_below(floor_, newer_epoch(floor_));
  link->arrivals.open(entered_, false);
  links_.change([&](auto& links) { links.emplace(id, link); });
  return link;
}

void IoThread::on_connection(const std::shared_ptr<Link>& link, Lane lane, int fd, const std::string& first_bytes) {
  if (link->at(lane)) disconnect(link, {Code::kPeerLost, "peer " + to_string(link->id) + " connected anew"});
  const auto connection = std::make_shared<Connection>(epoll_, fd, lane, link, options_, state_.counters);
  link->lanes.change([&](auto& lanes) { lanes[static_cast<std::size_t>(lane)] = connection; });
  link->attempt(lane).failures = 0;
  connection->readable = true;  // bytes may have come before epoll watched it as a connection
  connection->start();
  if (link->connected()) {
    link->wish = Link::Wish::kNone;
    link->never_met = false;
    link->pulse.restart(running_);
    report_connected(link);
  }
  if (connection->take_first(first_bytes) == Connection::Read::kBadFrame) {
    ++state_.counters.refused;
    return on_broken(connection, "sent a malformed frame");
  }
  list(connection);
}

void IoThread::on_broken(const std::shared_ptr<Connection>& connection, const std::string& reason) {
  const auto link = connection->link;
  const bool was_connected = link->connected();
  // What still lies on the other lane came before the end and counts.
  const auto other = link->at(connection->lane == Lane::kControl ? Lane::kBulk : Lane::kControl);
  if (other && !other->paused) {
    std::size_t bytes = 1;
    for (int i = 0; i < 256 && bytes > 0; ++i) {
      const auto result = other->read_some(scratch_, bytes);
      if (result != Connection::Read::kMore && result != Connection::Read::kDrained) break;
    }
  }
  log::debug("mesh_connection_broken",
             {{"peer", to_string(link->id)}, {"lane", static_cast<int>(connection->lane)}, {"reason", reason}});
  const Error why{Code::kPeerLost, "peer " + to_string(link->id) + ": " + reason};
  disconnect(link, why);
  if (entering_ && link->takes_part && was_connected) finish_enter(why);
  if (link->wish == Link::Wish::kWanted) return;  // was not whole yet: the dialling goes on
  if (!was_connected) return;
  if (!link->address) return report_lost(link, Evidence::kEof);
  link->redial_until = now_ + options_.heartbeat;
  connector_->want(link, Link::Wish::kRedial, now_);
}

void IoThread::disconnect(const std::shared_ptr<Link>& link, const Error& why) {
  lose_transfers(link, why);
  link->lanes.change([&](auto& lanes) {
    for (auto& connection : lanes) {
      if (!connection) continue;
      connection->close(why);
      closed_.push_back(std::exchange(connection, nullptr));  // events of this batch may still point at it
    }
  });
}

void IoThread::lose_transfers(const std::shared_ptr<Link>& link, const Error& why) {
  link->arrivals.lose(entered_, why);
  for (const auto& connection : link->lanes.mine()) {
    if (connection) connection->cut(Epoch{~0ull}, why);
  }
  link->gap = link->takes_part;
  resume();
}

void IoThread::on_refused(const std::shared_ptr<Link>& link, const std::string& reason) {
  const Link::Wish wish = link->wish;
  if (entering_ && link->takes_part) {
    connector_->stop(link);
    report_never_met(link);
    finish_enter(Error{Code::kPeerLost, "peer " + to_string(link->id) + " refuses: " + reason});
  }
  if (wish == Link::Wish::kRedial) {
    connector_->stop(link);
    report_lost(link, Evidence::kEof);
  }
}

void IoThread::report_lost(const std::shared_ptr<Link>& link, Evidence evidence) {
  log::debug("mesh_peer_lost",
             {{"peer", to_string(link->id)}, {"evidence", to_string(evidence)}, {"epoch", entered_.value}});
  if (events_.on_lost) events_.on_lost(link->id, evidence);
}

void IoThread::report_connected(const std::shared_ptr<Link>& link) {
  log::debug("mesh_connected", {{"peer", to_string(link->id)}});
  if (events_.on_connected) events_.on_connected(link->id);
  report_gap(link);
}

void IoThread::report_never_met(const std::shared_ptr<Link>& link) {
  if (std::exchange(link->never_met, false)) report_lost(link, Evidence::kUnreachable);
}

void IoThread::report_gap(const std::shared_ptr<Link>& link) {
  if (std::exchange(link->gap, false)) report_lost(link, Evidence::kLink);
}

void IoThread::want(const std::vector<ResolvedPeer>& peers) {
  for (const auto& [id, link] : links_.mine()) {
    if (link->wish == Link::Wish::kWanted) connector_->stop(link);
  }
  for (const ResolvedPeer& peer : peers) {
    if (peer.id == options_.self) continue;
    const auto link = make_link(peer.id);
    if (peer.address) link->address = peer.address;
    if (!link->connected()) connector_->want(link, Link::Wish::kWanted, now_);
  }
}

// Links of nobody we talk to, so that a long life among short ones needs no growing memory.
void IoThread::forget_strangers() {
  for (auto it = links_.mine().begin(); it != links_.mine().end();) {
    const auto link = it->second;
    const bool silent = link->connected() && link->pulse.silent();
    const bool open = link->at(Lane::kControl) || link->at(Lane::kBulk);
    const bool dials = link->attempt(Lane::kControl).active || link->attempt(Lane::kBulk).active;
    if (link->takes_part || link->wish != Link::Wish::kNone || (open && !silent) || dials) {
      ++it;
      continue;
    }
    disconnect(link, {Code::kPeerLost, "peer " + to_string(link->id) + " takes no part and is silent"});
    it = links_.change([&](auto& links) { return links.erase(it); });
  }
}

void IoThread::tick() {
  next_tick_ = now_ + std::max(options_.heartbeat / 4, milliseconds(1));
  if (now_ >= next_beat_) {
    next_beat_ = now_ + options_.heartbeat;
    send_beats();
  }
  std::vector<std::shared_ptr<Link>> links;
  for (const auto& [id, link] : links_.mine()) links.push_back(link);
  for (const auto& link : links) judge(link);
  judge_never_met();
}

void IoThread::send_beats() {
  const Frame beat{FrameType::kBeat, entered_.value, state_.progress.load(), state_.waiting.load() ? 1u : 0u, 0, 0};
  for (const auto& [id, link] : links_.mine()) {
    const auto& control = link->at(Lane::kControl);
    if (!control) continue;
    control->queue_beat(beat);
    list(control);
  }
}

void IoThread::judge_never_met() {
  if (running_ < meet_until_) return;
  meet_until_ = Pulse::Time::max();
  for (const auto& [id, link] : links_.mine()) report_never_met(link);
}

void IoThread::judge(const std::shared_ptr<Link>& link) {
  if (!link->connected()) return;
  // It is we who do not read. But a paused lane stays readable, whatever became of its peer.
  const auto &control = *link->at(Lane::kControl), &bulk = *link->at(Lane::kBulk);
  const bool unread = control.readable || (bulk.readable && !bulk.paused);
  if (unread && !link->pulse.silent()) link->pulse.heard(running_);
  const auto hang_limit =
      link->takes_part ? Pulse::Time(milliseconds(state_.hang_limit_ms.load())) : Pulse::Time::max();
  switch (link->pulse.check(running_, 5 * options_.heartbeat, hang_limit)) {
    case Pulse::Verdict::kNone:
      break;
    case Pulse::Verdict::kSilence: {
      const Error why{Code::kPeerLost, "peer " + to_string(link->id) + " is silent"};
      lose_transfers(link, why);
      if (entering_ && link->takes_part) finish_enter(why);
      report_lost(link, Evidence::kSilence);
      break;
    }
    case Pulse::Verdict::kHang:
      report_lost(link, Evidence::kHang);
      break;
  }
}

}  // namespace regroup::mesh
