// regroup-coordinator: turns "who is alive" into plans. Two or three may run; etcd elects one.
#include "api/keys.hpp"
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

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

int main(int argc, char** argv) {
  using namespace regroup;
  coordinator::CoordinatorOptions options;
  char host[256] = "coordinator";
  gethostname(host, sizeof host - 1);
  options.id = host;
  std::string etcd = "127.0.0.1:2379", metrics_address, log_file, log_level = "info";
  EtcdOptions etcd_options;
  CLI::App app{
      "Watches a cluster in etcd and publishes the plan of every job: who trains, who holds what.\n"
      "Run two or three with different --id; one leads, the others take over within seconds. Keeps no state of its "
      "own: kill it whenever you like."};
  app.set_version_flag("--version", version_line("regroup-coordinator"));
  app.add_option("--etcd", etcd, "endpoints, separated by commas")->capture_default_str();
  app.add_option("--cluster", options.cluster, "name under which everything lies in etcd")->capture_default_str();
  app.add_option("--id", options.id, "name of this coordinator, for people")->capture_default_str();
  app.add_option("--metrics", metrics_address, "HOST:PORT for /metrics, /healthz and /status (none if left out)");
  add_tls_options(app, etcd_options);
  app.add_option("--log-file", log_file, "append the log there instead of stderr");
  app.add_option("--log-level", log_level, "debug, info, warn or error")
      ->capture_default_str()
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
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
  if (!log_file.empty() && !std::ofstream(log_file, std::ios::app))
    return fail("cannot write --log-file " + log_file + ": " + std::strerror(errno));
  log::start("coordinator " + options.id, log::level_of(log_level), log_file);
  block_termination();

  auto store = EtcdStore::open(etcd, etcd_options);
  if (!store) return fail("--etcd " + etcd + ": " + store.error().context);
  coordinator::CoordinatorShell shell(**store, options);
  std::unique_ptr<metrics::HttpServer> server;
  if (!metrics_address.empty()) {
    metrics::HttpPages pages;
    pages.metrics = [&] { return metrics::to_prometheus(shell.counters(), {"regroup-coordinator", version()}); };
    pages.health = [&] {
      const auto counters = shell.counters();
      return metrics::Health{counters.store_connected, counters.store_connected
                                                           ? (counters.leading ? "leading" : "standing by")
                                                           : "etcd does not answer"};
    };
    pages.status = [&] { return shell.status_json(); };
    auto started = metrics::HttpServer::start(metrics_address, pages);
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
