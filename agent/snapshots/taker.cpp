#include "agent/snapshots/taker.hpp"

#include "base/now.hpp"

#include <system_error>

namespace regroup::agent {

Taker::Taker(std::chrono::milliseconds idle, std::function<void(const SnapshotKept&)> on_kept)
    : idle_(idle), on_kept_(std::move(on_kept)) {}

Taker::~Taker() { stopping_ = true; }

void Taker::take(Taking taking) {
  queue_.post([this, taking = std::move(taking)] {
    if (stopping_) return report(taking, "this agent stops");
    finish(taking);
  });
}

void Taker::finish(const Taking& taking) {
  if (taking.shelf->closed()) return;
  if (!taking.problem.empty() || !taking.snapshot) return report(taking, taking.problem);
  if (taking.to_sum) taking.to_sum->checksums = sums_of(*taking.to_sum);
  if (taking.holds) taking.holds->set_value(unit_sums_of(*taking.snapshot));
  if (!taking.shelf->publish(taking.snapshot)) return report(taking, "its slot was filled again before it was checked");
  if (taking.buddy.empty()) return report(taking, {});
  send(taking);
}

void Taker::send(Taking taking) {
  auto at = senders_.find(taking.buddy);
  if (at == senders_.end()) {
    // Buddies change with the plans: who has nothing to do any more leaves when a new one comes.
    std::erase_if(senders_, [](const auto& sender) { return sender.second->idle(); });
    try {
      at = senders_.emplace(taking.buddy, std::make_unique<BuddySender>(taking.buddy, idle_)).first;
    } catch (const std::system_error& e) {
      return report(taking, std::string("no thread to send it with: ") + e.what());
    }
  }
  const auto shelf = taking.shelf;
  const auto snapshot = taking.snapshot;
  const Step safe = taking.safe;
  at->second->send({shelf, snapshot, safe, [this, taking = std::move(taking)](const Result<void>& sent) {
                      report(taking, sent ? std::string() : to_string(sent.error()));
                    }});
}

void Taker::report(const Taking& taking, const std::string& problem) const {
  if (taking.shelf->closed()) return;
  SnapshotKept kept{taking.worker, taking.step, taking.epoch, 0, seconds_since(taking.since), {}, problem};
  if (taking.snapshot) {
    kept.bytes = taking.snapshot->bytes();
    kept.buddy = taking.buddy;
  }
  on_kept_(kept);
}

}  // namespace regroup::agent
