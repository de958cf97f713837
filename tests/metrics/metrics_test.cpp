// The pages through a real socket; the text through promtool.
#include "base/guarded.hpp"
#include "metrics/exporter.hpp"
#include "metrics/http_server.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

namespace regroup::metrics {
namespace {

int connect_to(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const timeval patience{20, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}

std::string ask(int port, const std::string& request) {
  const int fd = connect_to(port);
  send(fd, request.data(), request.size(), MSG_NOSIGNAL);
  std::string all;
  char buffer[4096];
  for (ssize_t got = 0; (got = recv(fd, buffer, sizeof buffer, 0)) > 0;)
    all.append(buffer, static_cast<std::size_t>(got));
  close(fd);
  return all;
}

std::string get(int port, const std::string& path) { return ask(port, "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"); }

AgentCounters busy_agent() {
  AgentCounters agent;
  agent.registered = true;
  agent.workers = 2;
  agent.worker_starts = 3;
  agent.suspicions[Evidence::kEof] = 2;
  agent.training.job = "demo \"quoted\"\n";
  agent.training.epoch = 7;
  agent.training.steps = 120;
  agent.training.tokens = 1'234'567'890'123;
  agent.training.loss = 2.5;
  agent.training.z_loss = 0.75;
  agent.training.validation_step = 100;
  agent.training.validation_loss = 2.75;
  agent.training.bad_steps = 3;
  agent.training.bad_in_a_row = 2;
  agent.training.step_seconds.observe(0.07);
  agent.training.step_seconds.observe(100);
  agent.training.phase_seconds[StepPhase::kGather].observe(0.01);
  agent.training.regroups["worker_lost"] = 1;
  agent.training.regroup_seconds["move"].observe(0.02);
  agent.training.bytes_moved[StateSource::kLive] = 4096;
  agent.training.rank_load = 1.25;
  agent.training.experts = {{{10, 30}, 1.5}, {{20, 20}, 1.0}};
  agent.snapshots.seconds.observe(0.01);
  agent.checkpoints.failures = 1;
  return agent;
}

CoordinatorCounters busy_coordinator() {
  CoordinatorCounters coordinator;
  coordinator.leading = true;
  coordinator.nodes = 4;
  for (const char* name : {"a", "b"}) {
    JobCounters& job = coordinator.jobs[name];
    job.epoch = 3;
    job.members = 4;
    job.plans["node_lost"] = 2;
    job.decide_seconds.observe(0.09);
  }
  return coordinator;
}

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(Exporter, counts_and_labels_come_out_as_prometheus_reads_them) {
  const std::string text = to_prometheus(busy_agent(), {"regroup-agent", "1.2.3"});
  EXPECT_TRUE(has_line(text, "regroup_workers 2"));
  EXPECT_TRUE(has_line(text, "regroup_build_info{program=\"regroup-agent\",version=\"1.2.3\"} 1"));
  EXPECT_TRUE(has_line(text, "regroup_suspicions_total{evidence=\"eof\"} 2"));
  EXPECT_TRUE(has_line(text, "regroup_suspicions_total{evidence=\"hang\"} 0")) << "known from the start";
  EXPECT_TRUE(has_line(text, "# TYPE regroup_step_duration_seconds histogram"));
  const std::string job = "job=\"demo \\\"quoted\\\"\\n\"";
  EXPECT_TRUE(has_line(text, "regroup_steps_total{" + job + "} 120")) << text;
  EXPECT_TRUE(has_line(text, "regroup_step_duration_seconds_bucket{" + job + ",le=\"0.1\"} 1"));
  EXPECT_TRUE(has_line(text, "regroup_step_duration_seconds_bucket{" + job + ",le=\"60\"} 1"));
  EXPECT_TRUE(has_line(text, "regroup_step_duration_seconds_bucket{" + job + ",le=\"+Inf\"} 2"));
  EXPECT_TRUE(has_line(text, "regroup_step_duration_seconds_count{" + job + "} 2"));
  EXPECT_TRUE(has_line(text, "regroup_moved_bytes_total{" + job + ",source=\"live\"} 4096"));
  EXPECT_TRUE(has_line(text, "regroup_expert_load_max_mean_ratio{" + job + ",layer=\"0\"} 1.5"));
  EXPECT_TRUE(has_line(text, "regroup_rank_load_max_mean_ratio{" + job + "} 1.25"));
  EXPECT_TRUE(has_line(text, "regroup_expert_tokens_total{" + job + ",layer=\"0\",expert=\"1\"} 30"));
  EXPECT_NE(text.find("process_start_time_seconds"), std::string::npos);
  EXPECT_EQ(text.find("regroup_loss"), text.rfind("# HELP regroup_loss") + 7) << "HELP once, samples together";
}

TEST(Exporter, a_node_without_a_job_has_no_series_of_one) {
  EXPECT_EQ(to_prometheus(AgentCounters{}, {"regroup-agent", "0"}).find("job=\""), std::string::npos);
}

void expect_clean(const std::string& text, const std::string& name) {
  ASSERT_EQ(std::system("command -v promtool >/dev/null"), 0) << "promtool is not installed (Debian: prometheus)";
  const std::string path = ::testing::TempDir() + name + "." + std::to_string(getpid());
  std::FILE* file = std::fopen(path.c_str(), "w");
  ASSERT_NE(file, nullptr);
  std::fwrite(text.data(), 1, text.size(), file);
  std::fclose(file);
  const int status = std::system(("promtool check metrics < " + path).c_str());
  EXPECT_EQ(status, 0) << text;
  std::remove(path.c_str());
}

TEST(Exporter, promtool_finds_nothing_to_say_of_an_agent) {
  expect_clean(to_prometheus(busy_agent(), {"regroup-agent", "1.2.3"}), "agent");
}

TEST(Exporter, promtool_finds_nothing_to_say_of_a_coordinator) {
  expect_clean(to_prometheus(busy_coordinator(), {"regroup-coordinator", "1.2.3"}), "coordinator");
}

struct Served {
  Health health{true, "leading"};
  Guarded<AgentCounters> counters;
  std::unique_ptr<HttpServer> server;
  Served() {
    counters.change([](AgentCounters& agent) { agent = busy_agent(); });
    auto started =
        HttpServer::start("127.0.0.1:0", {[this] {
                                            return to_prometheus(counters.copy(), {"regroup-agent", "1.2.3"});
                                          },
                                          [this] { return health; }, [] { return std::string("{\"step\":1}"); }});
    if (started) server = std::move(*started);
  }
};

TEST(HttpServer, each_page_has_its_type_and_its_body) {
  const Served served;
  ASSERT_TRUE(served.server);
  const std::string metrics = get(served.server->port(), "/metrics?x=1");
  EXPECT_TRUE(metrics.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_NE(metrics.find("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), std::string::npos);
  EXPECT_NE(metrics.find("regroup_workers 2\n"), std::string::npos);
  expect_clean(metrics.substr(metrics.find("\r\n\r\n") + 4), "scrape");
  const std::string health = get(served.server->port(), "/healthz");
  EXPECT_TRUE(health.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(health.ends_with("ok: leading\n"));
  const std::string status = get(served.server->port(), "/status");
  EXPECT_NE(status.find("\r\nContent-Type: application/json\r\n"), std::string::npos);
  EXPECT_TRUE(status.ends_with("\r\n\r\n{\"step\":1}"));
}

TEST(HttpServer, ill_health_is_a_503_with_its_reason) {
  Served served;
  ASSERT_TRUE(served.server);
  served.health = {false, "etcd does not answer"};
  const std::string answer = get(served.server->port(), "/healthz");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 "));
  EXPECT_TRUE(answer.ends_with("not ok: etcd does not answer\n"));
}

TEST(HttpServer, garbage_long_requests_and_other_methods_are_refused_and_harm_nobody) {
  const Served served;
  ASSERT_TRUE(served.server);
  const int port = served.server->port();
  EXPECT_TRUE(get(port, "/etc/passwd").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(ask(port, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
  EXPECT_TRUE(ask(port, "\x16\x03\x01 hello\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(ask(port, "HEAD /healthz HTTP/1.1\r\n\r\n").ends_with("\r\n\r\n"));
  EXPECT_TRUE(ask(port, "GET /" + std::string(100'000, 'x')).starts_with("HTTP/1.1 431 "));
  EXPECT_TRUE(ask(port, "GET / HTTP/1.1\r\nX: " + std::string(100'000, 'x')).starts_with("HTTP/1.1 431 "));
  EXPECT_TRUE(ask(port, "GET / HTTP/2.0\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(ask(port, "GET / HTTP/1.1\r\nno colon\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(ask(port, "POST /metrics HTTP/1.1\r\nContent-Length: 50000\r\n\r\n" + std::string(50'000, 'x'))
                  .starts_with("HTTP/1.1 405 "));
  EXPECT_TRUE(get(port, "/healthz").starts_with("HTTP/1.1 200 "));
}

TEST(HttpServer, a_head_has_the_length_and_not_the_body) {
  const Served served;
  ASSERT_TRUE(served.server);
  const std::string head = ask(served.server->port(), "HEAD /status HTTP/1.1\r\n\r\n");
  EXPECT_NE(head.find("\r\nContent-Length: 10\r\n"), std::string::npos) << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
}

TEST(HttpServer, an_ipv6_address_may_have_its_brackets) {
  for (const char* address : {"[::1]:0", "::1:0"}) {
    const auto started = HttpServer::start(address, {});
    if (started) {
      EXPECT_GT((*started)->port(), 0);
    } else {  // the machine may have no IPv6; the address is one all the same
      EXPECT_EQ(started.error().context.find("give an IP"), std::string::npos) << started.error().context;
    }
  }
}

TEST(HttpServer, connections_that_say_nothing_do_not_keep_others_out) {
  const Served served;
  ASSERT_TRUE(served.server);
  std::vector<int> silent;
  for (int i = 0; i < 40; ++i) silent.push_back(connect_to(served.server->port()));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(get(served.server->port(), "/healthz").starts_with("HTTP/1.1 200 "));
    silent.push_back(connect_to(served.server->port()));
  }
  char byte = 0;  // the oldest made room: their ends come long before the patience does
  EXPECT_EQ(::recv(silent.front(), &byte, 1, 0), 0);
  EXPECT_EQ(::recv(silent.back(), &byte, 1, MSG_DONTWAIT), -1);
  for (const int fd : silent) close(fd);
}

TEST(HttpServer, a_port_in_use_is_named_with_what_to_do) {
  const Served served;
  ASSERT_TRUE(served.server);
  const auto second = HttpServer::start("127.0.0.1:" + std::to_string(served.server->port()), {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kBadInput);
  EXPECT_NE(second.error().context.find(std::to_string(served.server->port())), std::string::npos);
  EXPECT_NE(second.error().context.find("in use"), std::string::npos);
}

TEST(HttpServer, what_is_no_address_is_refused_with_what_to_give) {
  for (const char* address : {"", "9100", "127.0.0.1", ":9100", "[]:9100", "[::1:9100", "127.0.0.1:", "127.0.0.1:99999",
                              "127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1:9100 ", "127.0.0.1:http"}) {
    const auto started = HttpServer::start(address, {});
    ASSERT_FALSE(started) << address;
    EXPECT_EQ(started.error().code, Code::kBadInput);
    EXPECT_NE(started.error().context.find("give HOST:PORT"), std::string::npos) << started.error().context;
  }
  EXPECT_NE(HttpServer::start("some-host:0", {}).error().context.find("give an IP address"), std::string::npos);
}

}  // namespace
}  // namespace regroup::metrics
