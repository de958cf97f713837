#include "agent/options.hpp"

#include "api/keys.hpp"
#include "base/environment.hpp"
#include "base/random_bytes.hpp"
#include "base/whole_number.hpp"
#include "net/address.hpp"
#include "store/etcd/tls_options.hpp"

#include <unistd.h>

#include <filesystem>

namespace regroup::agent {
namespace {

namespace fs = std::filesystem;

std::string host_name() {
  char host[256] = "node";
  gethostname(host, sizeof host - 1);
  return host;
}

Error wrong(const std::string& text) { return {Code::kBadInput, text}; }

std::chrono::milliseconds milliseconds_of(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

Result<void> add_labels(const Options& o, std::map<std::string, std::string>& labels) {
  for (const std::string& label : o.labels) {
    const auto equals = label.find('=');
    if (equals == std::string::npos || equals == 0) return wrong("--label '" + label + "': write NAME=VALUE");
    labels[label.substr(0, equals)] = label.substr(equals + 1);
  }
  labels.emplace("host", host_name());
  labels["directory"] = o.directory;
  return {};
}

}  // namespace

void add_options(CLI::App& app, Options& o) {
  app.add_option("--etcd", o.etcd, "HOST:PORT, several with commas; https:// in front means TLS")
      ->capture_default_str();
  app.add_option("--cluster", o.shell.facts.cluster, "name under which everything lies in etcd")->capture_default_str();
  app.add_option("--node", o.node, "this node's name, unique in the cluster (default: the host name)");
  app.add_option("--dir", o.directory, "journal, lock and sockets; one agent a directory")->required();
  app.add_option(
      "--address", o.address,
      "this host's name or address as the others reach it; left out: unix sockets, all nodes on this machine");
  app.add_option("--slots", o.shell.facts.slots, "workers at a time")
      ->capture_default_str()
      ->check(whole_number<int>)
      ->check(CLI::Range(1, 64));
  app.add_flag("!--no-spare", o.shell.facts.keeps_spare,
               "keep no process ready that has loaded its libraries: saves 60 MB, a worker that takes another's place "
               "joins later");
  app.add_flag("!--no-peer-memory", o.shell.peer_memory,
               "workers of one machine do not copy from each other's memory, but send everything through sockets");
  app.add_option("--memory", o.memory_bytes,
                 "what all workers together may use, such as 64GiB (default: the machine's)")
      ->transform(CLI::AsSizeValue(false));
  app.add_option("--zone", o.shell.facts.zone, "failure domain, for placement");
  app.add_option("--label", o.labels, "NAME=VALUE for people; may be repeated");
  app.add_option("--worker", o.shell.worker_program, "the worker's program (default: regroup-worker beside this one)");
  app.add_option(
         "--worker-env", o.shell.facts.worker_settings,
         "NAME=VALUE in the workers' environment; may be repeated. They get nothing else that steers a library, "
         "and the settings are part of their fingerprint")
      ->allow_extra_args(false);
  app.add_option("--lease-seconds", o.lease_seconds, "the node counts as absent that long after its last sign of life")
      ->capture_default_str()
      ->check(CLI::Range(3.0, 600.0));
  app.add_option("--drain-seconds", o.drain_seconds,
                 "after SIGTERM: leave at the latest then, even if the job has not let the node go")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  add_tls_options(app, o.etcd_options);
  add_daemon_options(app, o.daemon);
}

Result<void> complete_options(Options& o) {
  NodeFacts& facts = o.shell.facts;
  if (o.directory.empty()) return wrong("--dir is empty: name a directory of this agent's own");
  o.directory = fs::absolute(o.directory).lexically_normal().string();
  o.shell.directory = o.directory;
  facts.node = NodeId(o.node.empty() ? host_name() : o.node);
  if (!is_key_part(facts.node.value))
    return wrong("--node '" + facts.node.value + "': a name has no slash, colon or blank");
  if (!is_key_part(facts.cluster))
    return wrong("--cluster '" + facts.cluster + "': a name has no slash, colon or blank");
  if (!o.address.empty())
    if (auto good = check_host(o.address); !good) return wrong("--address " + good.error().context);
  if (auto good = check_daemon_options(o.daemon); !good) return good;
  facts.incarnation = random_word();
  facts.memory_bytes = static_cast<std::int64_t>(o.memory_bytes);
  if (facts.memory_bytes == 0)
    facts.memory_bytes = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
  facts.metrics_address = o.daemon.metrics_address;
  facts.drain_limit = milliseconds_of(o.drain_seconds);
  if (auto good = add_labels(o, facts.labels); !good) return good;
  auto settings = checked_settings(facts.worker_settings);
  if (!settings) return settings.error().within("--worker-env");
  facts.worker_settings = std::move(*settings);
  o.shell.lease_ttl = milliseconds_of(o.lease_seconds);
  if (o.shell.worker_program.empty())
    o.shell.worker_program = fs::read_symlink("/proc/self/exe").parent_path() / "regroup-worker";
  if (access(o.shell.worker_program.c_str(), X_OK) != 0)
    return wrong("there is no worker program " + o.shell.worker_program + "; give it with --worker");
  return {};
}

}  // namespace regroup::agent
