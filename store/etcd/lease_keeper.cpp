#include "store/etcd/lease_keeper.hpp"

#include "base/now.hpp"
#include "store/etcd/lease_renewal.hpp"

#include <algorithm>

namespace regroup {
namespace {

using std::chrono::milliseconds;

class EtcdLease : public Lease {
 public:
  EtcdLease(std::shared_ptr<LeaseRenewal> renewal, std::shared_ptr<KeptLease> kept)
      : renewal_(std::move(renewal)), kept_(std::move(kept)) {}
  ~EtcdLease() override {
    end();
    const std::lock_guard<std::recursive_mutex> running(kept_->running);
    kept_->closed = true;
  }
  [[nodiscard]] std::int64_t id() const override { return kept_->id; }
  [[nodiscard]] milliseconds ttl() const override { return kept_->ttl; }
  [[nodiscard]] Instant certain_until() const override {
    const LockGuard lock(renewal_->mutex);
    return kept_->certain_until;
  }
  [[nodiscard]] bool lost() const override {
    const LockGuard lock(renewal_->mutex);
    if (!kept_->lost && Clock::now() >= kept_->lose_at()) {
      kept_->lost = true;  // final, even if a late answer is on its way
      if (!kept_->ended) renewal_->lose(kept_, "no renewal was acknowledged in time");
    }
    return kept_->lost;
  }
  Result<void> revoke() override {
    end();
    const Deadline deadline = Clock::now() + renewal_->timeout;
    EtcdRpc& rpc = *renewal_->rpc;
    const Result<void> done = read_somewhere(
        rpc, deadline, [&](int endpoint, Deadline until) { return rpc.revoke(endpoint, kept_->id, until); });
    if (!done && done.error().code != Code::kNotFound) return done.error();
    const LockGuard lock(renewal_->mutex);
    kept_->lost = true;
    return {};
  }

 private:
  void end() {
    const LockGuard lock(renewal_->mutex);
    kept_->ended = true;
    renewal_->leases.erase(kept_->id);
    std::erase(renewal_->to_tell, kept_);
  }

  std::shared_ptr<LeaseRenewal> renewal_;
  std::shared_ptr<KeptLease> kept_;
};

}  // namespace

LeaseKeeper::LeaseKeeper(std::shared_ptr<EtcdRpc> rpc, milliseconds timeout)
    : renewal_(std::make_shared<LeaseRenewal>()) {
  renewal_->rpc = std::move(rpc);
  renewal_->timeout = timeout;
  renewal_->writer = std::thread([renewal = renewal_] { renewal->run_writer(); });
  renewal_->clock = std::thread([renewal = renewal_] { renewal->run_clock(); });
}

LeaseKeeper::~LeaseKeeper() {
  {
    const LockGuard lock(renewal_->mutex);
    renewal_->stopping = true;
    if (renewal_->stream != nullptr) renewal_->stream->cancel();
    renewal_->wake_writer.notify_all();
    renewal_->wake_clock.notify_all();
  }
  renewal_->writer.join();
  renewal_->clock.join();
}

Result<std::unique_ptr<Lease>> LeaseKeeper::grant(milliseconds ttl, std::function<void()> on_lost) {
  const auto seconds = std::max(std::chrono::ceil<std::chrono::seconds>(ttl), std::chrono::seconds(1));
  const Deadline deadline = Clock::now() + renewal_->timeout;
  Instant sent;
  const Result<LeaseGranted> granted = read_somewhere(*renewal_->rpc, deadline, [&](int endpoint, Deadline until) {
    sent = Clock::now();
    return renewal_->rpc->grant(endpoint, seconds, until);
  });
  if (!granted) return granted.error();
  auto lease = std::make_shared<KeptLease>();
  lease->id = granted->id;
  lease->ttl = granted->ttl;
  lease->certain_until = sent + granted->ttl;
  lease->next_send = sent + granted->ttl / 3;
  lease->on_lost = std::move(on_lost);
  const LockGuard lock(renewal_->mutex);
  renewal_->leases.emplace(lease->id, lease);
  renewal_->wake_writer.notify_all();
  renewal_->wake_clock.notify_all();
  return std::unique_ptr<Lease>(std::make_unique<EtcdLease>(renewal_, lease));
}

}  // namespace regroup
