// etcd_wire.hpp: our values as etcd's messages and back, and what an answer's status means to a caller. Pure. Private
// to this folder.
#pragma once

#include "etcd.pb.h"
#include "store/etcd/etcd_rpc.hpp"

#include <grpcpp/support/status.h>

namespace regroup {

KeyValue from_wire(const etcdserverpb::KeyValue& kv);
void to_wire(const Compare& from, etcdserverpb::Compare& to);
void to_wire(const Op& from, etcdserverpb::RequestOp& to);

// Of a status that is not ok. A read may be repeated anyway, so `writes` alone decides between "nothing happened" and
// "who knows".
Error error_of(const grpc::Status& status, const std::string& endpoint, bool writes);

}  // namespace regroup
