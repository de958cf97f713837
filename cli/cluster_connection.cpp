#include "cli/cluster_connection.hpp"

#include "cli/job/cluster_file.hpp"
#include "store/etcd/tls_options.hpp"

namespace regroup::cli {

void add_cluster_options(CLI::App& command, ClusterChoice& choice) {
  command.add_option("--etcd", choice.etcd, "of etcd; https:// in front means TLS")
      ->capture_default_str()
      ->type_name("HOST:PORT[,...]");
  command.add_option("--cluster", choice.name, "name of the cluster: the part of etcd's keys that is its own")
      ->capture_default_str()
      ->type_name("NAME");
  add_tls_options(command, choice.etcd_options);
  command.add_option("--dir", choice.dir, "directory of a running `regroup local`, in place of --etcd and --cluster")
      ->type_name("DIR");
}

Result<ClusterConnection> connect(ClusterChoice choice) {
  if (!choice.dir.empty()) {
    const auto file = read_cluster_file(choice.dir);
    if (!file) return file.error();
    choice.etcd = file->etcd;
    choice.name = file->cluster;
  }
  if (!is_key_part(choice.name))
    return Error{Code::kBadInput, "--cluster '" + choice.name + "': a name has no slash, colon or blank"};
  auto store = EtcdStore::open(choice.etcd, choice.etcd_options);
  if (!store) return store.error();
  Keys keys(choice.name);
  // Asked first, so that every command says the same when it is away.
  auto there = (*store)->get(keys.leader());
  if (there || there.error().code == Code::kNotFound) return ClusterConnection{std::move(*store), std::move(keys)};
  const bool answered =
      there.error().code == Code::kBadInput || there.error().context.find("etcdserver: ") != std::string::npos;
  if (answered) return Error{Code::kUnavailable, there.error().context};  // it is nobody's wrong use
  const bool was_said = choice.etcd != ClusterChoice{}.etcd;
  const std::string advice = !choice.dir.empty() ? "; the `regroup local` of " + choice.dir + " seems to be over"
                             : was_said          ? ""
                                        : "; where etcd is, say with --etcd HOST:PORT or --dir DIR of a running "
                                          "`regroup local`";
  return Error{there.error().code, there.error().context + advice};
}

}  // namespace regroup::cli
