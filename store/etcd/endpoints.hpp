// endpoints.hpp: what stands after --etcd, read. Pure. Private to this folder.
#pragma once

#include "base/address_text.hpp"

#include <string>
#include <vector>

namespace regroup {

struct EtcdEndpoints {
  std::vector<HostPort> at;  // at least one
  bool tls = false;          // never chosen silently: https:// is written, or a CA is given
};

// HOST:PORT, optionally with http:// or https:// in front and a slash behind, separated by commas. kBadInput: none, one
// that cannot be read, http:// beside a CA, or https:// and plain text side by side.
Result<EtcdEndpoints> read_endpoints(const std::string& text, bool ca_given);

}  // namespace regroup
