// etcd_store.hpp: the store of store/store.hpp on a real etcd (3.4 or later), over gRPC. No gRPC header is seen from
// here.
//
// Calls: each ends within `timeout`. Reads are tried again on another endpoint while time is left; a write is sent
// once, and kUnknown says that it may have happened. Watches: resume where a cut stream ended; after a compaction, or
// another cluster behind the same address, they list again and tell the difference. Leases: one stream renews all at a
// third of their TTL; lost is declared a tenth of the TTL before the server can act. Endpoints: one connection each; a
// call that fails moves everything, streams too, to the next one. Thread: any; callbacks run on threads of the store's
// own, one for each watch and those of the leases.
#pragma once

#include "store/store.hpp"

namespace regroup {

struct EtcdOptions {
  std::chrono::milliseconds timeout{2000};  // of each call
  // a watch compares itself with a fresh listing this often: etcd 3.4 is known to lose events
  std::chrono::milliseconds repair_every{300'000};
  // PEM files. A CA: TLS, trusting it alone; none, and https:// endpoints: TLS, trusting what this system trusts; else
  // plain text. A certificate and its key: shown to the server.
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
};

class EtcdStore : public Store {
 public:
  // Endpoints are HOST:PORT, optionally with http:// or https:// in front, separated by commas. Connects in the
  // background: an etcd that is not there yet is no error. kBadInput: no endpoint, or one that cannot be read as such,
  // http:// beside a CA, a certificate beside plain text, or a PEM file that cannot be used.
  static Result<std::unique_ptr<EtcdStore>> open(const std::string& endpoints, const EtcdOptions& options = {});
};

}  // namespace regroup
