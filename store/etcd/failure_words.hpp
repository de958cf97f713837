// failure_words.hpp: what gRPC and etcd say of a failure, as a person reads it: their own words, without the frame
// around them, and what to do. Pure. Private to this folder.
#pragma once

#include <string>

namespace regroup {

// Of a connection that does not come about, as gRPC tells it.
std::string connection_words(const std::string& grpc_says);
// Whether those words leave open what is wrong with TLS.
bool may_be_tls(const std::string& grpc_says);

// etcd's answer to a call, with advice where there is one.
std::string answer_words(const std::string& etcd_says);

}  // namespace regroup
