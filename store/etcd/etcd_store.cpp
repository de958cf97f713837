#include "store/etcd/etcd_store.hpp"

#include "store/etcd/etcd_rpc.hpp"
#include "store/etcd/etcd_watch.hpp"
#include "store/etcd/lease_keeper.hpp"
#include "store/txn_check.hpp"

namespace regroup {
namespace {

using std::chrono::steady_clock;

class GrpcEtcdStore : public EtcdStore {
 public:
  GrpcEtcdStore(std::shared_ptr<EtcdRpc> rpc, const EtcdOptions& options)
      : rpc_(std::move(rpc)), options_(options), leases_(rpc_, options.timeout) {}

  Result<Listing> list(const std::string& prefix) override {
    Result<Listing> listing = list_all(*rpc_, prefix, deadline());
    if (!listing) return listing.error().within("listing " + prefix);
    return listing;
  }

  Result<KeyValue> get(const std::string& key) override {
    const Result<RangePage> page = read_somewhere(
        *rpc_, deadline(), [&](int endpoint, Deadline until) { return rpc_->range(endpoint, key, "", 1, 0, until); });
    if (!page) return page.error().within("reading " + key);
    if (page->keys.empty()) return Error{Code::kNotFound, "etcd has no key " + key};
    return page->keys.front();
  }

  Result<std::int64_t> put(const std::string& key, const std::string& value, std::int64_t lease) override {
    const Result<TxnResult> done = txn({}, {{Op::Kind::kPut, key, value, lease}}, {});
    if (!done) return done.error();
    return done->revision;
  }

  Result<std::int64_t> erase(const std::string& key) override {
    const Result<TxnResult> done = txn({}, {{Op::Kind::kDelete, key, "", 0}}, {});
    if (!done) return done.error();
    return done->revision;
  }

  Result<TxnResult> txn(const std::vector<Compare>& when, const std::vector<Op>& then,
                        const std::vector<Op>& otherwise) override {
    const Result<void> good = check_txn(when, then, otherwise);
    if (!good) return good.error();
    const Deadline until = deadline();
    for (;;) {
      const Result<int> endpoint = rpc_->connected(until);
      if (!endpoint) return endpoint.error().within("writing " + name_of(then, otherwise));
      Result<TxnResult> done = rpc_->txn(*endpoint, when, then, otherwise, until);
      if (done) return done;
      const Code code = done.error().code;
      if (code == Code::kUnavailable || code == Code::kUnknown) rpc_->failed(*endpoint);
      // Only what certainly did not happen is tried again, and only elsewhere.
      if (code != Code::kUnavailable || rpc_->num_endpoints() == 1 || steady_clock::now() + kRetryPause >= until)
        return done.error().within("writing " + name_of(then, otherwise));
      std::this_thread::sleep_for(kRetryPause);
    }
  }

  Result<std::unique_ptr<Lease>> grant(std::chrono::milliseconds ttl, std::function<void()> on_lost) override {
    return leases_.grant(ttl, std::move(on_lost));
  }

  std::unique_ptr<Watch> watch(const std::string& prefix, std::function<void(const WatchUpdate&)> callback) override {
    return start_etcd_watch(rpc_, options_, prefix, std::move(callback));
  }

 private:
  [[nodiscard]] Deadline deadline() const { return steady_clock::now() + options_.timeout; }

  static std::string name_of(const std::vector<Op>& then, const std::vector<Op>& otherwise) {
    if (!then.empty()) return then.front().key;
    return otherwise.empty() ? "nothing" : otherwise.front().key;
  }

  std::shared_ptr<EtcdRpc> rpc_;
  EtcdOptions options_;
  LeaseKeeper leases_;
};

}  // namespace

Result<std::unique_ptr<EtcdStore>> EtcdStore::open(const std::string& endpoints, const EtcdOptions& options) {
  auto rpc = EtcdRpc::open(endpoints, options);
  if (!rpc) return rpc.error();
  return std::unique_ptr<EtcdStore>(std::make_unique<GrpcEtcdStore>(std::move(*rpc), options));
}

}  // namespace regroup
