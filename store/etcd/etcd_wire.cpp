#include "store/etcd/etcd_wire.hpp"

#include "store/etcd/failure_words.hpp"

namespace regroup {

KeyValue from_wire(const etcdserverpb::KeyValue& kv) {
  return {kv.key(), kv.value(), kv.create_revision(), kv.mod_revision(), kv.version(), kv.lease()};
}

void to_wire(const Compare& from, etcdserverpb::Compare& to) {
  to.set_result(etcdserverpb::Compare::EQUAL);
  to.set_key(from.key);
  switch (from.target) {
    case Compare::Target::kCreateRevision:
      to.set_target(etcdserverpb::Compare::CREATE);
      to.set_create_revision(from.number);
      break;
    case Compare::Target::kModRevision:
      to.set_target(etcdserverpb::Compare::MOD);
      to.set_mod_revision(from.number);
      break;
    case Compare::Target::kVersion:
      to.set_target(etcdserverpb::Compare::VERSION);
      to.set_version(from.number);
      break;
    case Compare::Target::kValue:
      to.set_target(etcdserverpb::Compare::VALUE);
      to.set_value(from.value);
      break;
  }
}

void to_wire(const Op& from, etcdserverpb::RequestOp& to) {
  switch (from.kind) {
    case Op::Kind::kPut:
      to.mutable_request_put()->set_key(from.key);
      to.mutable_request_put()->set_value(from.value);
      to.mutable_request_put()->set_lease(from.lease);
      break;
    case Op::Kind::kDelete:
      to.mutable_request_delete_range()->set_key(from.key);
      break;
    case Op::Kind::kDeletePrefix:
      to.mutable_request_delete_range()->set_key(range_begin_of(from.key));
      to.mutable_request_delete_range()->set_range_end(range_end_of(from.key));
      break;
    case Op::Kind::kGet:
      to.mutable_request_range()->set_key(from.key);
      break;
  }
}

Error error_of(const grpc::Status& status, const std::string& endpoint, bool writes) {
  const std::string& text = status.error_message();
  const auto says = [&](const char* words) { return text.find(words) != std::string::npos; };
  const std::string context = "etcd at " + endpoint + ": " + answer_words(text);
  switch (status.error_code()) {
    case grpc::StatusCode::NOT_FOUND:
      return {Code::kNotFound, context};
    case grpc::StatusCode::OUT_OF_RANGE:
      return {Code::kConflict, context};
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::UNIMPLEMENTED:
      return {Code::kBadInput, context};
    // too large for the server is final, "too many requests" and a full disk are not
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return {says("larger than max") ? Code::kBadInput : Code::kUnavailable, context};
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return {writes ? Code::kUnknown : Code::kTimeout, context};
    default:
      break;
  }
  // Refused at the door: by gRPC because no connection stands, by etcd (asked with hasleader) because its member has no
  // leader.
  const bool never_sent = says("failed to connect to all addresses") || says("etcdserver: no leader");
  return {writes && !never_sent ? Code::kUnknown : Code::kUnavailable, context};
}

}  // namespace regroup
