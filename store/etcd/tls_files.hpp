// tls_files.hpp: the certificates of a TLS connection to etcd, read and checked before they are used. Private to this
// folder.
#pragma once

#include "store/etcd/etcd_store.hpp"

#include <string>

namespace regroup {

struct TlsFiles {  // PEM texts
  std::string ca;
  std::string cert, key;  // both empty: we show none
};

// Without a CA file: those that this system trusts. kBadInput, naming the file and what is wrong with it: it cannot be
// read, is no PEM of its kind, or the key is not the certificate's.
Result<TlsFiles> read_tls_files(const EtcdOptions& options);

}  // namespace regroup
