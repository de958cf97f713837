// tls_options.hpp: --etcd-ca, --etcd-cert and --etcd-key of every program that talks to etcd.
#pragma once

#include "store/etcd/etcd_store.hpp"

namespace regroup {

// App: a CLI::App; its header is the caller's. A certificate without its key or without a CA is refused.
template <class App>
void add_tls_options(App& app, EtcdOptions& options) {
  auto* ca = app.add_option("--etcd-ca", options.ca_file, "PEM file: TLS to etcd")->type_name("FILE");
  auto* cert =
      app.add_option("--etcd-cert", options.cert_file, "PEM file: this client's certificate")->type_name("FILE");
  auto* key = app.add_option("--etcd-key", options.key_file, "PEM file: its key")->type_name("FILE");
  cert->needs(ca)->needs(key);
  key->needs(cert);
}

}  // namespace regroup
