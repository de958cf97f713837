// regroup-coordinator: turns "who is alive" into plans. Two or three may run; etcd elects one.
#include "api/keys.hpp"
#include "base/daemon_options.hpp"
#include "base/log.hpp"
#include "base/termination.hpp"
#include "base/version.hpp"
#include "coordinator/shell.hpp"
#include "metrics/exporter.hpp"
#include "metrics/http_server.hpp"
#include "store/etcd/etcd_store.hpp"
#include "store/etcd/tls_options.hpp"

#include <CLI/CLI.hpp>
#include <unistd.h>

#include <cstdio>

int main(int argc, char** argv) {
  using namespace regroup;
  coordinator::CoordinatorOptions options;
  char host[256] = "coordinator";
  gethostname(host, sizeof host - 1);
  options.id = host;
  std::string etcd = "127.0.0.1:2379";
  DaemonOptions daemon;
  EtcdOptions etcd_options;
  CLI::App app{
      "Watches a cluster in etcd and publishes the plan of every job: who trains, who holds what.\n"
      "Run two or three with different --id; one leads, the others take over within seconds. Keeps no state of its "
      "own: kill it whenever you like."};
  app.set_version_flag("--version", version_line("regroup-coordinator"));
  app.add_option("--etcd", etcd, "HOST:PORT, several with commas; https:// in front means TLS")->capture_default_str();
  app.add_option("--cluster", options.cluster, "name under which everything lies in etcd")->capture_default_str();
  app.add_option("--id", options.id, "name of this coordinator, for people")->capture_default_str();
  add_tls_options(app, etcd_options);
  add_daemon_options(app, daemon);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto fail = [](const std::string& text) {
    std::fprintf(stderr, "regroup-coordinator: %s\n", text.c_str());
    return 2;
  };
  if (!is_key_part(options.cluster))
    return fail("--cluster '" + options.cluster + "': a name has no slash, colon or blank");
  if (auto good = check_daemon_options(daemon); !good) return fail(good.error().context);
  log::start("coordinator " + options.id, log::level_of(daemon.log_level), daemon.log_file);
  block_termination();

  auto store = EtcdStore::open(etcd, etcd_options);
  if (!store) return fail("--etcd " + etcd + ": " + store.error().context);
  coordinator::CoordinatorShell shell(**store, options);
  std::unique_ptr<metrics::HttpServer> server;
  if (!daemon.metrics_address.empty()) {
    metrics::HttpPages pages;
    pages.metrics = [&] { return metrics::to_prometheus(shell.counters(), {"regroup-coordinator", version()}); };
    pages.health = [&] {
      const auto counters = shell.counters();
      return metrics::Health{counters.store_connected, counters.store_connected
                                                           ? (counters.leading ? "leading" : "standing by")
                                                           : "no contact with etcd: " + shell.trouble()};
    };
    pages.status = [&] { return shell.status_json(); };
    auto started = metrics::HttpServer::start(daemon.metrics_address, pages);
    if (!started) return fail("--metrics: " + started.error().context);
    server = std::move(*started);
    log::info("metrics_served", {{"port", server->port()}});
  }
  log::info("coordinator_started", {{"cluster", options.cluster}, {"etcd", etcd}});
  {
    const OnTermination stop([&] { shell.stop(); });
    shell.run();
  }
  log::info("coordinator_stopped");
  return 0;
}
