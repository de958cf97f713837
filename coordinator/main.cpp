// regroup-coordinator: turns "who is alive" into plans. Two or three may run; etcd elects one.
#include "base/log.hpp"
#include "coordinator/etcd/etcd_store.hpp"
#include "coordinator/shell.hpp"
#include "metrics/exporter.hpp"
#include "metrics/http_server.hpp"

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <unistd.h>

int main(int argc, char** argv) {
  using namespace regroup;
  CoordinatorOptions options;
  char host[256] = "coordinator";
  gethostname(host, sizeof host - 1);
  options.id = host;
  std::string etcd = "127.0.0.1:2379", metrics_address, log_file, log_level = "info";
  EtcdOptions etcd_options;
  CLI::App app{"Watches a cluster in etcd and publishes the plan of every job: who trains, who holds what.\n"
               "Run two or three with different --id; one leads, the others take over within seconds. Keeps no state of its own: kill it whenever you like."};
  app.add_option("--etcd", etcd, "endpoints, separated by commas")->capture_default_str();
  app.add_option("--cluster", options.cluster, "name under which everything lies in etcd")->capture_default_str();
  app.add_option("--id", options.id, "name of this coordinator, for people")->capture_default_str();
  app.add_option("--metrics", metrics_address, "HOST:PORT for /metrics, /healthz and /status (none if left out)");
  app.add_option("--etcd-ca", etcd_options.ca_file, "PEM file: TLS to etcd");
  app.add_option("--etcd-cert", etcd_options.cert_file, "PEM file: this client's certificate");
  app.add_option("--etcd-key", etcd_options.key_file, "PEM file: its key");
  app.add_option("--log-file", log_file, "append the log there instead of stderr");
  app.add_option("--log-level", log_level, "debug, info, warn or error")->capture_default_str()->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  CLI11_PARSE(app, argc, argv);

  log::start("coordinator " + options.id, log_level == "debug" ? log::Level::kDebug : log_level == "warn" ? log::Level::kWarn : log_level == "error" ? log::Level::kError : log::Level::kInfo,
             log_file);
  // Blocked before any thread starts, so that only the one that waits for them below gets them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  auto store = EtcdStore::open(etcd, etcd_options);
  if (!store) {
    std::fprintf(stderr, "regroup-coordinator: --etcd %s: %s\n", etcd.c_str(), store.error().context.c_str());
    return 2;
  }
  CoordinatorShell shell(**store, options);
  std::unique_ptr<metrics::HttpServer> server;
  if (!metrics_address.empty()) {
    const auto colon = metrics_address.rfind(':');
    const int port = colon == std::string::npos ? -1 : std::atoi(metrics_address.c_str() + colon + 1);
    if (port < 0) {
      std::fprintf(stderr, "regroup-coordinator: --metrics %s: give HOST:PORT\n", metrics_address.c_str());
      return 2;
    }
    metrics::HttpPages pages;
    pages.metrics = [&] { return metrics::to_prometheus(shell.counters(), {"regroup-coordinator", "0.1.0"}); };
    pages.health = [&] {
      const auto counters = shell.counters();
      return metrics::Health{counters.store_connected, counters.store_connected ? (counters.leading ? "leading" : "standing by") : "etcd does not answer"};
    };
    pages.status = [&] { return shell.status_json(); };
    auto started = metrics::HttpServer::start(metrics_address.substr(0, colon), port, pages);
    if (!started) {
      std::fprintf(stderr, "regroup-coordinator: %s\n", started.error().context.c_str());
      return 2;
    }
    server = std::move(*started);
  }
  log::info("coordinator_started", {{"cluster", options.cluster}, {"etcd", etcd}});
  std::thread on_signal([&] {
    int signal = 0;
    sigwait(&signals, &signal);
    shell.stop();
  });
  shell.run();
  on_signal.join();
  log::info("coordinator_stopped");
  return 0;
}
