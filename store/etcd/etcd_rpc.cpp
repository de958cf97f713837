#include "store/etcd/etcd_rpc.hpp"

#include "base/address_text.hpp"
#include "base/log.hpp"
#include "base/random_bytes.hpp"
#include "etcd.grpc.pb.h"
#include "store/etcd/etcd_streams.hpp"
#include "store/etcd/etcd_wire.hpp"

#include <grpc/support/log.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <atomic>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

namespace regroup {
namespace {

using std::chrono::steady_clock;

struct Endpoint {
  std::string name;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<etcdserverpb::KV::Stub> kv;
  std::unique_ptr<etcdserverpb::Watch::Stub> watch;
  std::unique_ptr<etcdserverpb::Lease::Stub> lease;
};

class GrpcEtcdRpc : public EtcdRpc {
 public:
  explicit GrpcEtcdRpc(std::vector<Endpoint> endpoints)
      : endpoints_(std::move(endpoints)), registry_(std::make_shared<StreamRegistry>()) {
    favourite_ = static_cast<int>(random_word() % endpoints_.size());
    for (Endpoint& endpoint : endpoints_) endpoint.channel->GetState(true);
  }

  [[nodiscard]] int num_endpoints() const override { return static_cast<int>(endpoints_.size()); }
  [[nodiscard]] const std::string& name(int endpoint) const override { return endpoints_[endpoint].name; }

  Result<int> connected(Deadline deadline) override {
    for (;;) {
      const int first = favourite_;
      for (int k = 0; k < num_endpoints(); ++k) {
        const int endpoint = (first + k) % num_endpoints();
        if (endpoints_[endpoint].channel->GetState(true) == GRPC_CHANNEL_READY) return endpoint;
      }
      const auto now = steady_clock::now();
      if (now >= deadline)
        return Error{Code::kUnavailable,
                     "no etcd endpoint of " + all_names() + " can be reached; is etcd running there?"};
      // One endpoint: woken by its state. Several: the favourite's state wakes, the others are looked at every 20 ms.
      const Deadline until = num_endpoints() == 1 ? deadline : std::min(deadline, now + std::chrono::milliseconds(20));
      grpc::Channel& channel = *endpoints_[first].channel;
      const grpc_connectivity_state state = channel.GetState(true);
      if (state != GRPC_CHANNEL_READY) channel.WaitForStateChange(state, on_wall_clock(until));
    }
  }

  void failed(int endpoint) override {
    if (num_endpoints() == 1) return;
    int expected = endpoint;
    if (favourite_.compare_exchange_strong(expected, (endpoint + 1) % num_endpoints()))
      log::warn("etcd_endpoint_failed",
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
    const grpc::Status status = endpoints_[endpoint].kv->Range(&context, request, &response);
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
    const grpc::Status status = endpoints_[endpoint].kv->Txn(&context, request, &response);
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
    const grpc::Status status = endpoints_[endpoint].lease->LeaseGrant(&context, request, &response);
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
    const grpc::Status status = endpoints_[endpoint].lease->LeaseRevoke(&context, request, &response);
    if (!status.ok()) return error_of(status, name(endpoint), false);
    return {};
  }

  std::unique_ptr<WatchStream> watch_stream(int endpoint, Deadline end) override {
    return open_watch_stream(registry_, endpoint, *endpoints_[endpoint].watch, end);
  }
  std::unique_ptr<KeepAliveStream> keep_alive_stream(int endpoint) override {
    return open_keep_alive_stream(registry_, endpoint, *endpoints_[endpoint].lease);
  }

 private:
  static void prepare(grpc::ClientContext& context, Deadline deadline) {
    context.set_deadline(on_wall_clock(deadline));
    // a member cut off from its leader says so at once instead of making us wait
    context.AddMetadata("hasleader", "true");
  }
  std::string all_names() const {
    std::string all;
    for (const Endpoint& endpoint : endpoints_) all += (all.empty() ? "" : ",") + endpoint.name;
    return all;
  }

  std::vector<Endpoint> endpoints_;
  std::shared_ptr<StreamRegistry> registry_;
  std::atomic<int> favourite_{0};
};

Result<std::string> read_pem(const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || text.str().empty()) return Error{Code::kBadInput, "the PEM file " + path + " for etcd cannot be read"};
  return text.str();
}

Result<std::shared_ptr<grpc::ChannelCredentials>> credentials_of(const EtcdOptions& options) {
  if (options.ca_file.empty()) {
    if (!options.cert_file.empty() || !options.key_file.empty())
      return Error{Code::kBadInput, "a certificate for etcd needs the file of its authority too"};
    return grpc::InsecureChannelCredentials();
  }
  const Result<std::string> ca = read_pem(options.ca_file);
  if (!ca) return ca.error();
  const Result<std::string> cert = read_pem(options.cert_file);
  if (!cert) return cert.error();
  const Result<std::string> key = read_pem(options.key_file);
  if (!key) return key.error();
  return grpc::SslCredentials({*ca, *key, *cert});
}

// Each call's error says what matters; what the library writes on its own would land on a user's terminal, or between a
// daemon's lines.
void quieten_the_library() {
  static std::once_flag once;
  std::call_once(once, [] {
    gpr_set_log_function([](gpr_log_func_args* said) { log::debug("grpc", {{"text", std::string(said->message)}}); });
  });
}

}  // namespace

Result<std::shared_ptr<EtcdRpc>> EtcdRpc::open(const std::string& endpoints, const EtcdOptions& options) {
  quieten_the_library();
  const auto credentials = credentials_of(options);
  if (!credentials) return credentials.error();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  // the default stops pinging an idle watch, and a frozen server is never noticed
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);    // an etcd that comes back is met within half a second
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2'000);  // how long one attempt to connect may take
  // etcd bounds requests, not what a watch brings after a pause
  arguments.SetInt(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, -1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // stores in one process do not share a connection's fate
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  std::vector<Endpoint> list;
  std::istringstream in(endpoints);
  for (std::string name; std::getline(in, name, ',');) {
    for (const char* scheme : {"http://", "https://"})
      if (name.starts_with(scheme)) name = name.substr(std::string_view(scheme).size());
    const auto at = parse_host_port(name);
    if (!at) return Error{Code::kBadInput, "the etcd endpoint \"" + name + "\" is not HOST:PORT"};
    name = to_string(*at);
    Endpoint endpoint{name, grpc::CreateCustomChannel(name, *credentials, arguments), nullptr, nullptr, nullptr};
    endpoint.kv = etcdserverpb::KV::NewStub(endpoint.channel);
    endpoint.watch = etcdserverpb::Watch::NewStub(endpoint.channel);
    endpoint.lease = etcdserverpb::Lease::NewStub(endpoint.channel);
    list.push_back(std::move(endpoint));
  }
  if (list.empty()) return Error{Code::kBadInput, "no etcd endpoint is given; name at least one HOST:PORT"};
  return std::shared_ptr<EtcdRpc>(std::make_shared<GrpcEtcdRpc>(std::move(list)));
}

}  // namespace regroup
