// regroup-agent: the daemon of a node. Registers it, runs its workers, keeps their snapshots.
#include "agent/directories.hpp"
#include "agent/options.hpp"
#include "agent/shell.hpp"
#include "agent/worker_environment.hpp"
#include "base/address_text.hpp"
#include "base/log.hpp"
#include "base/termination.hpp"
#include "base/version.hpp"
#include "metrics/exporter.hpp"
#include "metrics/http_server.hpp"
#include "store/etcd/etcd_store.hpp"

#include <cstdio>
#include <optional>

namespace {

using namespace regroup;

int fail(const std::string& text) {
  std::fprintf(stderr, "regroup-agent: %s\n", text.c_str());
  return 2;
}

// /metrics, /healthz and /status; none without an address.
Result<std::unique_ptr<metrics::HttpServer>> serve_pages(const agent::AgentShell& shell, const std::string& address) {
  if (address.empty()) return std::unique_ptr<metrics::HttpServer>();
  metrics::HttpPages pages;
  pages.metrics = [&shell] { return metrics::to_prometheus(shell.counters(), {"regroup-agent", version()}); };
  pages.health = [&shell] {
    const bool registered = shell.counters().registered;
    if (registered) return metrics::Health{true, "registered"};
    const std::string trouble = shell.trouble();
    return metrics::Health{false, "not registered in etcd; workers go on" + (trouble.empty() ? "" : ": " + trouble)};
  };
  pages.status = [&shell] { return shell.status_json(); };
  auto server = metrics::HttpServer::start(address, pages);
  if (server) log::info("metrics_served", {{"port", (*server)->port()}});
  return server;
}

int run_until_told_to_go(agent::AgentShell& shell) {
  const OnTermination terminate([&] { shell.terminate(); });
  return shell.run();
}

}  // namespace

int main(int argc, char** argv) {
  agent::Options options;
  CLI::App app{
      "The daemon of a node: registers it in etcd, runs the workers of the job that it is assigned to, keeps their "
      "snapshots in memory.\n"
      "SIGTERM drains: the job moves away, then the agent ends. SIGKILL loses nothing that another node holds."};
  app.set_version_flag("--version", version_line("regroup-agent"));
  agent::add_options(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (auto good = agent::complete_options(options); !good) return fail(good.error().context);

  const auto taken = agent::take_directory(options.directory);
  if (!taken) return fail(taken.error().context);
  options.shell.facts.labels["word"] = taken->word();
  options.shell.word_before = taken->word_before();
  std::optional<agent::SocketDirectory> sockets;
  if (options.address.empty()) sockets.emplace(options.directory);
  options.shell.sockets = sockets ? sockets->path() : "tcp:" + host_in_address(options.address);
  const std::string peer_port = sockets ? "unix:" + sockets->path() + "/agent" : options.shell.sockets + ":0";

  const agent::NodeFacts& facts = options.shell.facts;
  log::start("agent " + facts.node.value, log::level_of(options.daemon.log_level), options.daemon.log_file);
  block_termination();

  auto store = EtcdStore::open(options.etcd, options.etcd_options);
  if (!store) return fail("--etcd " + options.etcd + ": " + store.error().context);
  auto shell = agent::AgentShell::open(**store, options.shell, peer_port);
  if (!shell) return fail(shell.error().context);
  const auto server = serve_pages(**shell, options.daemon.metrics_address);
  if (!server) return fail("--metrics: " + server.error().context);

  log::info("agent_started", {{"cluster", facts.cluster},
                              {"etcd", options.etcd},
                              {"dir", options.directory},
                              {"slots", facts.slots},
                              {"incarnation", facts.incarnation}});
  agent::log_worker_environment(facts.worker_settings);
  const int status = run_until_told_to_go(**shell);
  log::info("agent_stopped", {{"status", status}});
  return status;
}
