// etcd_channel.hpp: the connection to one endpoint of etcd, and why it does not stand. Private to this folder.
#pragma once

#include "base/address_text.hpp"
#include "base/mutex.hpp"
#include "etcd.grpc.pb.h"
#include "store/etcd/etcd_rpc.hpp"
#include "store/etcd/tls_files.hpp"

#include <grpcpp/channel.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace regroup {

class EtcdChannel {
 public:
  // One for each endpoint. Connects nothing yet. kBadInput as EtcdStore::open.
  static Result<std::vector<std::unique_ptr<EtcdChannel>>> open(const std::string& endpoints,
                                                                const EtcdOptions& options);
  EtcdChannel(const HostPort& at, std::shared_ptr<grpc::Channel> channel, std::optional<TlsFiles> tls);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] grpc::Channel& channel() { return *channel_; }
  [[nodiscard]] etcdserverpb::KV::Stub& kv() { return *kv_; }
  [[nodiscard]] etcdserverpb::Watch::Stub& watch() { return *watch_; }
  [[nodiscard]] etcdserverpb::Lease::Stub& lease() { return *lease_; }

  // Any thread. If the last attempt to connect failed, finds out why. Fast: gRPC is asked no more than a few times a
  // second, and the endpoint itself only while the deadline leaves room.
  void look_why_it_fails(Deadline deadline);
  // What was found last.
  [[nodiscard]] std::string why_it_fails() const;

 private:
  // gRPC's words for the last attempt; empty: it is connected by now, or tries again.
  std::string grpc_says();

  const HostPort at_;
  const std::string name_;
  const std::optional<TlsFiles> tls_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<etcdserverpb::KV::Stub> kv_;
  const std::unique_ptr<etcdserverpb::Watch::Stub> watch_;
  const std::unique_ptr<etcdserverpb::Lease::Stub> lease_;

  struct Failure {
    std::string grpc_said;
    std::string text = "no answer yet to the attempt to connect";
    Deadline next_look{}, next_probe{};
  };
  mutable Mutex mutex_;
  Failure failure_ REGROUP_GUARDED_BY(mutex_);
};

}  // namespace regroup
