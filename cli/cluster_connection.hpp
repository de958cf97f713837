// cluster_connection.hpp: which cluster a command speaks to: its options, and etcd behind them.
#pragma once

#include "api/keys.hpp"
#include "base/result.hpp"
#include "store/etcd/etcd_store.hpp"

#include <CLI/CLI.hpp>

#include <memory>
#include <string>

namespace regroup::cli {

struct ClusterChoice {
  std::string etcd = "127.0.0.1:2379", name = "default";
  std::string dir;  // of a running `regroup local`, in place of both; empty: none
  EtcdOptions etcd_options;
};

// `choice` must live until the command line is parsed.
void add_cluster_options(CLI::App& command, ClusterChoice& choice);

struct ClusterConnection {
  std::unique_ptr<Store> store;
  Keys keys;
};
// An error says what to do when etcd does not answer, the same for every command. kNotFound, kBadInput: `dir` is of no
// `regroup local`, or the name is none.
Result<ClusterConnection> connect(ClusterChoice choice);

}  // namespace regroup::cli
