#include "store/etcd/etcd_streams.hpp"

#include "store/etcd/etcd_wire.hpp"
#include "store/etcd/failure_words.hpp"

namespace regroup {
namespace {

// What both kinds of stream share: the context, its place in the registry, the end.
template <class Base, class Request, class Response>
class Stream : public Base {
 public:
  Stream(std::shared_ptr<StreamRegistry> registry, int endpoint) : registry_(std::move(registry)), endpoint_(endpoint) {
    context_.AddMetadata("hasleader", "true");
    const LockGuard lock(registry_->mutex);
    registry_->streams.emplace(endpoint_, this);
  }
  ~Stream() override {
    {
      const LockGuard lock(registry_->mutex);
      registry_->streams.erase({endpoint_, this});
    }
    context_.TryCancel();
    if (call_ && !finished_) finish();
  }
  void cancel() override { context_.TryCancel(); }
  std::string reason() override {
    if (!call_) return "never opened";
    if (!finished_) finish();
    return status_.ok() ? "the server ended the stream" : answer_words(status_.error_message());
  }

 protected:
  void finish() {
    Response rest;
    while (call_->Read(&rest)) {
    }
    status_ = call_->Finish();
    finished_ = true;
  }

  std::shared_ptr<StreamRegistry> registry_;
  int endpoint_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<Request, Response>> call_;
  grpc::Status status_;
  bool finished_ = false;
};

class GrpcWatchStream : public Stream<WatchStream, etcdserverpb::WatchRequest, etcdserverpb::WatchResponse> {
 public:
  GrpcWatchStream(std::shared_ptr<StreamRegistry> registry, int endpoint, etcdserverpb::Watch::Stub& stub, Deadline end)
      : Stream(std::move(registry), endpoint), stub_(stub) {
    context_.set_deadline(on_wall_clock(end));
  }

  bool start(const std::string& key, const std::string& range_end, std::int64_t start_revision) override {
    call_ = stub_.Watch(&context_);
    etcdserverpb::WatchRequest request;
    etcdserverpb::WatchCreateRequest& create = *request.mutable_create_request();
    create.set_key(key);
    create.set_range_end(range_end);
    create.set_start_revision(start_revision);
    create.set_fragment(true);
    return call_->Write(request);
  }

  bool read(WatchReply& reply) override {
    etcdserverpb::WatchResponse response;
    if (!call_->Read(&response)) return false;
    reply = {};
    reply.cluster = response.header().cluster_id();
    reply.revision = response.header().revision();
    reply.compact_revision = response.compact_revision();
    reply.created = response.created();
    reply.canceled = response.canceled();
    reply.fragment = response.fragment();
    reply.cancel_reason = response.cancel_reason();
    for (const etcdserverpb::Event& event : response.events()) {
      const bool put = event.type() == etcdserverpb::Event::PUT;
      reply.events.push_back({put ? WatchEvent::Kind::kPut : WatchEvent::Kind::kDelete, from_wire(event.kv())});
    }
    return true;
  }

 private:
  etcdserverpb::Watch::Stub& stub_;
};

class GrpcKeepAliveStream
    : public Stream<KeepAliveStream, etcdserverpb::LeaseKeepAliveRequest, etcdserverpb::LeaseKeepAliveResponse> {
 public:
  GrpcKeepAliveStream(std::shared_ptr<StreamRegistry> registry, int endpoint, etcdserverpb::Lease::Stub& stub)
      : Stream(std::move(registry), endpoint), stub_(stub) {}

  bool start() override {
    call_ = stub_.LeaseKeepAlive(&context_);
    return true;
  }

  bool write(std::int64_t lease) override {
    etcdserverpb::LeaseKeepAliveRequest request;
    request.set_id(lease);
    return call_->Write(request);
  }

  bool read(KeepAliveReply& reply) override {
    etcdserverpb::LeaseKeepAliveResponse response;
    if (!call_->Read(&response)) return false;
    reply = {response.id(), std::chrono::seconds(response.ttl())};
    return true;
  }

 private:
  etcdserverpb::Lease::Stub& stub_;
};

}  // namespace

std::chrono::system_clock::time_point on_wall_clock(Deadline deadline) {
  const auto left = deadline - std::chrono::steady_clock::now();
  return std::chrono::system_clock::now() + std::chrono::duration_cast<std::chrono::system_clock::duration>(left);
}

void cancel_streams(StreamRegistry& registry, int endpoint) {
  const LockGuard lock(registry.mutex);
  for (const auto& [at, stream] : registry.streams)
    if (at == endpoint) stream->cancel();
}

std::unique_ptr<WatchStream> open_watch_stream(std::shared_ptr<StreamRegistry> registry, int endpoint,
                                               etcdserverpb::Watch::Stub& stub, Deadline end) {
  return std::make_unique<GrpcWatchStream>(std::move(registry), endpoint, stub, end);
}

std::unique_ptr<KeepAliveStream> open_keep_alive_stream(std::shared_ptr<StreamRegistry> registry, int endpoint,
                                                        etcdserverpb::Lease::Stub& stub) {
  return std::make_unique<GrpcKeepAliveStream>(std::move(registry), endpoint, stub);
}

}  // namespace regroup
