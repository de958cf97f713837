#include "store/etcd/etcd_rpc.hpp"

#include "base/log.hpp"
#include "base/random_bytes.hpp"
#include "store/etcd/etcd_channel.hpp"
#include "store/etcd/etcd_streams.hpp"
#include "store/etcd/etcd_wire.hpp"

#include <atomic>
#include <thread>

namespace regroup {
namespace {

using std::chrono::steady_clock;

class GrpcEtcdRpc : public EtcdRpc {
 public:
  explicit GrpcEtcdRpc(std::vector<std::unique_ptr<EtcdChannel>> endpoints)
      : endpoints_(std::move(endpoints)), registry_(std::make_shared<StreamRegistry>()) {
    favourite_ = static_cast<int>(random_word() % endpoints_.size());
    for (const auto& endpoint : endpoints_) endpoint->channel().GetState(true);
  }

  [[nodiscard]] int num_endpoints() const override { return static_cast<int>(endpoints_.size()); }
  [[nodiscard]] const std::string& name(int endpoint) const override { return endpoints_[endpoint]->name(); }

  Result<int> connected(Deadline deadline) override {
    for (;;) {
      const int first = favourite_;
      for (int k = 0; k < num_endpoints(); ++k) {
        const int endpoint = (first + k) % num_endpoints();
        if (endpoints_[endpoint]->channel().GetState(true) == GRPC_CHANNEL_READY) return endpoint;
      }
      for (const auto& endpoint : endpoints_) endpoint->look_why_it_fails(deadline);
      const auto now = steady_clock::now();
      if (now >= deadline) return Error{Code::kUnavailable, why_none_is_connected()};
      // One endpoint: woken by its state. Several: the favourite's state wakes, the others are looked at every 20 ms.
      const Deadline until = num_endpoints() == 1 ? deadline : std::min(deadline, now + std::chrono::milliseconds(20));
      grpc::Channel& channel = endpoints_[first]->channel();
      const grpc_connectivity_state state = channel.GetState(true);
      if (state != GRPC_CHANNEL_READY) channel.WaitForStateChange(state, on_wall_clock(until));
    }
  }

  void failed(int endpoint) override {
    if (num_endpoints() == 1) return;
    int expected = endpoint;
    if (favourite_.compare_exchange_strong(expected, (endpoint + 1) % num_endpoints()))
      log::warn_often("etcd_endpoint_failed",
                      {{"endpoint", name(endpoint)}, {"next", name((endpoint + 1) % num_endpoints())}});
    cancel_streams(*registry_, endpoint);
  }

  Result<RangePage> range(int endpoint, const std::string& key, const std::string& range_end, std::int64_t limit,
                          std::int64_t revision, Deadline deadline) override {
    etcdserverpb::RangeRequest request;
    request.set_key(key);
    request.set_range_end(range_end);
    request.set_limit(limit);
    request.set_revision(revision);
    etcdserverpb::RangeResponse response;
    grpc::ClientContext context;
    prepare(context, deadline);
    const grpc::Status status = endpoints_[endpoint]->kv().Range(&context, request, &response);
    if (!status.ok()) return error_of(status, name(endpoint), false);
    RangePage page;
    page.revision = response.header().revision();
    page.cluster = response.header().cluster_id();
    page.more = response.more();
    for (const auto& kv : response.kvs()) page.keys.push_back(from_wire(kv));
    return page;
  }

  Result<TxnResult> txn(int endpoint, const std::vector<Compare>& when, const std::vector<Op>& then,
                        const std::vector<Op>& otherwise, Deadline deadline) override {
    etcdserverpb::TxnRequest request;
    for (const Compare& compare : when) to_wire(compare, *request.add_compare());
    for (const Op& op : then) to_wire(op, *request.add_success());
    for (const Op& op : otherwise) to_wire(op, *request.add_failure());
    etcdserverpb::TxnResponse response;
    grpc::ClientContext context;
    prepare(context, deadline);
    const grpc::Status status = endpoints_[endpoint]->kv().Txn(&context, request, &response);
    if (!status.ok()) return error_of(status, name(endpoint), true);
    TxnResult result;
    result.succeeded = response.succeeded();
    result.revision = response.header().revision();
    for (const auto& part : response.responses()) {
      std::vector<KeyValue>& read = result.reads.emplace_back();
      for (const auto& kv : part.response_range().kvs()) read.push_back(from_wire(kv));
    }
    return result;
  }

  // A lease that was granted without our hearing of it ends by itself, so an unknown outcome counts as none.
  Result<LeaseGranted> grant(int endpoint, std::chrono::seconds ttl, Deadline deadline) override {
    etcdserverpb::LeaseGrantRequest request;
    request.set_ttl(ttl.count());
    etcdserverpb::LeaseGrantResponse response;
    grpc::ClientContext context;
    prepare(context, deadline);
    const grpc::Status status = endpoints_[endpoint]->lease().LeaseGrant(&context, request, &response);
    if (!status.ok()) return error_of(status, name(endpoint), false);
    if (!response.error().empty())
      return Error{Code::kUnavailable, "etcd at " + name(endpoint) + ": " + response.error()};
    return LeaseGranted{response.id(), std::chrono::seconds(response.ttl())};
  }

  // Revoking twice does no harm, so it may be repeated like a read.
  Result<void> revoke(int endpoint, std::int64_t lease, Deadline deadline) override {
    etcdserverpb::LeaseRevokeRequest request;
    request.set_id(lease);
    etcdserverpb::LeaseRevokeResponse response;
    grpc::ClientContext context;
    prepare(context, deadline);
    const grpc::Status status = endpoints_[endpoint]->lease().LeaseRevoke(&context, request, &response);
    if (!status.ok()) return error_of(status, name(endpoint), false);
    return {};
  }

  std::unique_ptr<WatchStream> watch_stream(int endpoint, Deadline end) override {
    return open_watch_stream(registry_, endpoint, endpoints_[endpoint]->watch(), end);
  }
  std::unique_ptr<KeepAliveStream> keep_alive_stream(int endpoint) override {
    return open_keep_alive_stream(registry_, endpoint, endpoints_[endpoint]->lease());
  }

 private:
  static void prepare(grpc::ClientContext& context, Deadline deadline) {
    context.set_deadline(on_wall_clock(deadline));
    // a member cut off from its leader says so at once instead of making us wait
    context.AddMetadata("hasleader", "true");
  }
  std::string why_none_is_connected() const {
    std::string all;
    for (const auto& endpoint : endpoints_)
      all += (all.empty() ? "etcd at " : "; etcd at ") + endpoint->name() + ": " + endpoint->why_it_fails();
    return all;
  }

  std::vector<std::unique_ptr<EtcdChannel>> endpoints_;
  std::shared_ptr<StreamRegistry> registry_;
  std::atomic<int> favourite_{0};
};

}  // namespace

Result<std::shared_ptr<EtcdRpc>> EtcdRpc::open(const std::string& endpoints, const EtcdOptions& options) {
  auto channels = EtcdChannel::open(endpoints, options);
  if (!channels) return channels.error();
  return std::shared_ptr<EtcdRpc>(std::make_shared<GrpcEtcdRpc>(std::move(*channels)));
}

}  // namespace regroup
