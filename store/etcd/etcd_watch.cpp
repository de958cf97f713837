#include "store/etcd/etcd_watch.hpp"

#include "base/log.hpp"
#include "base/mutex.hpp"
#include "base/trouble.hpp"
#include "store/etcd/known_keys.hpp"

#include <thread>

namespace regroup {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPause{50};  // between two attempts that failed
constexpr std::chrono::milliseconds kLook{200};  // for a connection, before looking whether to stop

class Follower {
 public:
  Follower(std::shared_ptr<EtcdRpc> rpc, const EtcdOptions& options, std::string prefix,
           std::function<void(const WatchUpdate&)> callback)
      : rpc_(std::move(rpc)), options_(options), prefix_(std::move(prefix)), callback_(std::move(callback)) {}

  void stop() {
    const LockGuard lock(mutex_);
    stopping_ = true;
    if (stream_ != nullptr) stream_->cancel();
    wake_.notify_all();
  }

  void run() {
    bool list_first = true;
    bool reset = true;
    while (!stopped()) {
      if (const auto connected = rpc_->connected(steady_clock::now() + kLook); !connected) {
        log_trouble(connected.error());
        tell_cut();
        continue;
      }
      if (list_first) {
        if (!list(reset)) {
          tell_cut();
          pause();
          continue;
        }
        list_first = false;
        reset = false;
      }
      switch (follow()) {
        case End::kCut:
          tell_cut();
          pause();
          break;
        case End::kLost:
          list_first = reset = true;
          break;
        case End::kRepair:
          list_first = true;
          break;
      }
    }
  }

 private:
  enum class End { kCut, kLost, kRepair };

  bool stopped() {
    const LockGuard lock(mutex_);
    return stopping_;
  }

  void pause() {
    Lock lock(mutex_);
    wake_.wait_for(lock, kPause, [&]() REGROUP_REQUIRES(mutex_) { return stopping_; });
  }

  void tell(const WatchUpdate& update) {
    told_connected_ = update.connected;
    if (!stopped()) callback_(update);
  }

  void tell_cut() {
    if (!told_connected_ || cluster_ == 0) return;  // the first thing told is the content
    WatchUpdate cut;
    cut.connected = false;
    cut.revision = next_ - 1;
    tell(cut);
  }

  void log_trouble(const Error& error) {
    if (trouble_.is_news(error.context, steady_clock::now()))
      log::warn("etcd_watch_waits", {{"prefix", prefix_}, {"error", error.context}});
  }

  // Brings the cache to the present. As a reset: everything. As a repair: what differs, if anything.
  bool list(bool reset) {
    std::uint64_t cluster = 0;
    const Result<Listing> listing = list_all(*rpc_, prefix_, steady_clock::now() + options_.timeout, &cluster);
    if (!listing) {
      log_trouble(listing.error());
      return false;
    }
    trouble_.is_over();
    if (listing->revision < next_ - 1 || (cluster_ != 0 && cluster != cluster_)) {
      log::warn("etcd_is_another_one",
                {{"prefix", prefix_}, {"revision", listing->revision}, {"known_revision", next_ - 1}});
      reset = true;
    }
    WatchUpdate update;
    update.reset = reset;
    update.revision = listing->revision;
    update.events = known_.become(*listing, reset);
    cluster_ = cluster;
    next_ = listing->revision + 1;
    if (!reset && !update.events.empty())
      log::warn("etcd_watch_repaired", {{"prefix", prefix_}, {"events", update.events.size()}});
    if (reset || !update.events.empty()) tell(update);
    return true;
  }

  void deliver(WatchUpdate& update, std::vector<WatchEvent>& pending) {
    for (WatchEvent& event : pending) {
      const std::int64_t at = event.kv.mod_revision;
      if (at < next_) continue;  // etcd 3.4 may send an event twice
      update.revision = std::max(update.revision, at);
      known_.apply(event);
      if (event.kind == WatchEvent::Kind::kDelete) event.kv = KeyValue{event.kv.key, "", 0, at, 0, 0};
      update.events.push_back(std::move(event));
    }
    pending.clear();
    if (update.events.empty()) return;
    next_ = update.revision + 1;
    tell(update);
  }

  End follow() {
    const Result<int> endpoint = rpc_->connected(steady_clock::now() + kLook);
    if (!endpoint) return End::kCut;
    const Deadline repair_at = steady_clock::now() + options_.repair_every;
    const std::unique_ptr<WatchStream> stream = rpc_->watch_stream(*endpoint, repair_at);
    {
      const LockGuard lock(mutex_);
      if (stopping_) return End::kCut;
      stream_ = stream.get();
    }
    const End end = follow(*stream, *endpoint, repair_at - kPause);
    const LockGuard lock(mutex_);
    stream_ = nullptr;
    return end;
  }

  End follow(WatchStream& stream, int endpoint, Deadline repair_at) {
    std::vector<WatchEvent> pending;  // fragments of one response
    WatchReply reply;
    bool going = stream.start(range_begin_of(prefix_), range_end_of(prefix_), next_);
    while (going && stream.read(reply)) {
      if (reply.compact_revision != 0) return End::kLost;
      if (reply.canceled) break;
      if (reply.cluster != cluster_) return End::kLost;
      if (reply.created) {
        // A member behind the others answers with an older revision, and so does a cluster restored from an old copy: a
        // fresh list tells which.
        if (reply.revision < next_ - 1 && went_back()) return End::kLost;
        if (!told_connected_) {
          WatchUpdate back;
          back.revision = next_ - 1;
          tell(back);
        }
        continue;
      }
      pending.insert(pending.end(), std::make_move_iterator(reply.events.begin()),
                     std::make_move_iterator(reply.events.end()));
      if (reply.fragment) continue;
      WatchUpdate update;
      deliver(update, pending);
    }
    if (stopped()) return End::kCut;
    if (steady_clock::now() >= repair_at) return End::kRepair;
    log::info_often("etcd_watch_cut", {{"prefix", prefix_},
                                       {"endpoint", rpc_->name(endpoint)},
                                       {"reason", reply.canceled ? reply.cancel_reason : stream.reason()}});
    rpc_->failed(endpoint);
    return End::kCut;
  }

  bool went_back() {
    const Result<RangePage> now =
        read_somewhere(*rpc_, steady_clock::now() + options_.timeout, [&](int endpoint, Deadline until) {
          return rpc_->range(endpoint, range_begin_of(prefix_), range_end_of(prefix_), 1, 0, until);
        });
    return now && now->revision < next_ - 1;
  }

  const std::shared_ptr<EtcdRpc> rpc_;
  const EtcdOptions options_;
  const std::string prefix_;
  const std::function<void(const WatchUpdate&)> callback_;

  KnownKeys known_;        // as told
  std::int64_t next_ = 1;  // first revision not yet told
  std::uint64_t cluster_ = 0;
  bool told_connected_ = true;
  Trouble trouble_;

  Mutex mutex_;
  Condition wake_;
  bool stopping_ REGROUP_GUARDED_BY(mutex_) = false;
  WatchStream* stream_ REGROUP_GUARDED_BY(mutex_) = nullptr;
};

class EtcdWatch : public Watch {
 public:
  explicit EtcdWatch(std::shared_ptr<Follower> follower)
      : follower_(std::move(follower)), thread_([follower = follower_] { follower->run(); }) {}
  ~EtcdWatch() override {
    follower_->stop();
    if (thread_.get_id() == std::this_thread::get_id()) {
      thread_.detach();  // ended by its own callback; the thread holds what it needs
    } else {
      thread_.join();
    }
  }

 private:
  std::shared_ptr<Follower> follower_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Watch> start_etcd_watch(std::shared_ptr<EtcdRpc> rpc, const EtcdOptions& options,
                                        const std::string& prefix, std::function<void(const WatchUpdate&)> callback) {
  return std::make_unique<EtcdWatch>(std::make_shared<Follower>(std::move(rpc), options, prefix, std::move(callback)));
}

}  // namespace regroup
