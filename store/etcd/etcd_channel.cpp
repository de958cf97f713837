#include "store/etcd/etcd_channel.hpp"

#include "base/log.hpp"
#include "store/etcd/endpoints.hpp"
#include "store/etcd/etcd_streams.hpp"
#include "store/etcd/failure_words.hpp"
#include "store/etcd/grpc_environment.hpp"
#include "store/etcd/tls_probe.hpp"

#include <grpc/support/log.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <mutex>

namespace regroup {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kBetweenLooks{200};
constexpr milliseconds kBetweenProbes{30'000};  // while gRPC says the same
constexpr milliseconds kProbeLimit{300};        // for each address, and each part of the answer

// Each call's error says what matters; what the library writes on its own would land on a user's terminal, or between a
// daemon's lines.
void quieten_the_library() {
  static std::once_flag once;
  std::call_once(once, [] {
    drop_unusable_grpc_settings();
    gpr_set_log_function([](gpr_log_func_args* said) { log::debug("grpc", {{"text", std::string(said->message)}}); });
  });
}

grpc::ChannelArguments channel_arguments() {
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
  return arguments;
}

}  // namespace

Result<std::vector<std::unique_ptr<EtcdChannel>>> EtcdChannel::open(const std::string& endpoints,
                                                                    const EtcdOptions& options) {
  quieten_the_library();
  const auto read = read_endpoints(endpoints, !options.ca_file.empty());
  if (!read) return read.error();
  std::optional<TlsFiles> tls;
  auto credentials = grpc::InsecureChannelCredentials();
  if (read->tls) {
    auto files = read_tls_files(options);
    if (!files) return files.error();
    credentials = grpc::SslCredentials({files->ca, files->key, files->cert});
    tls = std::move(*files);
  } else if (!options.cert_file.empty()) {
    return Error{Code::kBadInput,
                 "--etcd-cert is for TLS: give --etcd-ca too, or write https:// before each endpoint of " + endpoints};
  }
  const grpc::ChannelArguments arguments = channel_arguments();
  std::vector<std::unique_ptr<EtcdChannel>> channels;
  for (const HostPort& at : read->at)
    channels.push_back(
        std::make_unique<EtcdChannel>(at, grpc::CreateCustomChannel(to_string(at), credentials, arguments), tls));
  return channels;
}

EtcdChannel::EtcdChannel(const HostPort& at, std::shared_ptr<grpc::Channel> channel, std::optional<TlsFiles> tls)
    : at_(at),
      name_(to_string(at)),
      tls_(std::move(tls)),
      channel_(std::move(channel)),
      kv_(etcdserverpb::KV::NewStub(channel_)),
      watch_(etcdserverpb::Watch::NewStub(channel_)),
      lease_(etcdserverpb::Lease::NewStub(channel_)) {}

// The state of a channel has no words; a call that fails at once has them.
std::string EtcdChannel::grpc_says() {
  grpc::ClientContext context;
  context.set_deadline(on_wall_clock(steady_clock::now() + milliseconds(50)));
  etcdserverpb::RangeRequest request;
  request.set_key("regroup");
  etcdserverpb::RangeResponse response;
  const grpc::Status status = kv_->Range(&context, request, &response);
  return status.error_code() == grpc::StatusCode::UNAVAILABLE ? status.error_message() : "";
}

void EtcdChannel::look_why_it_fails(Deadline deadline) {
  const auto now = steady_clock::now();
  if (channel_->GetState(false) != GRPC_CHANNEL_TRANSIENT_FAILURE) return;
  {
    const LockGuard lock(mutex_);
    if (now < failure_.next_look) return;
    failure_.next_look = now + kBetweenLooks;
  }
  const std::string said = grpc_says();
  if (said.empty()) return;
  {
    const LockGuard lock(mutex_);
    if (said != failure_.grpc_said) failure_ = {said, connection_words(said), failure_.next_look, {}};
    if (!may_be_tls(said) || now < failure_.next_probe || now + 3 * kProbeLimit >= deadline) return;
    failure_.next_probe = now + kBetweenProbes;
  }
  const std::string found = probe_tls(at_, tls_, kProbeLimit);
  const LockGuard lock(mutex_);
  if (!found.empty() && failure_.grpc_said == said) failure_.text = found;
}

std::string EtcdChannel::why_it_fails() const {
  const LockGuard lock(mutex_);
  return failure_.text;
}

}  // namespace regroup
