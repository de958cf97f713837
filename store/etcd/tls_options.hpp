// tls_options.hpp: --etcd-ca, --etcd-cert and --etcd-key of every program that talks to etcd.
#pragma once

#include "store/etcd/etcd_store.hpp"

namespace regroup {

// App: a CLI::App; its header is the caller's. A certificate without its key is refused.
template <class App>
void add_tls_options(App& app, EtcdOptions& options) {
  app.add_option("--etcd-ca", options.ca_file,
                 "PEM file: TLS to etcd, whose certificate this CA signed; for a CA that the system trusts write "
                 "https:// before the endpoint instead")
      ->type_name("FILE");
  auto* cert =
      app.add_option("--etcd-cert", options.cert_file, "PEM file: this client's certificate")->type_name("FILE");
  auto* key = app.add_option("--etcd-key", options.key_file, "PEM file: its key")->type_name("FILE");
  cert->needs(key);
  key->needs(cert);
}

}  // namespace regroup
