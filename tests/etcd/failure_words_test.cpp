// What people are told of an etcd that does not do as they wish: endpoints, gRPC's words, etcd's words, its log.
#include "store/etcd/failure_words.hpp"

#include "cli/etcd/etcd_log.hpp"
#include "store/etcd/endpoints.hpp"
#include "store/etcd/grpc_environment.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace regroup {
namespace {

std::string read_as(const std::string& text, bool ca_given = false) {
  const auto read = read_endpoints(text, ca_given);
  if (!read) return read.error().context;
  std::string all = read->tls ? "tls" : "plain";
  for (const HostPort& at : read->at) all += " " + to_string(at);
  return all;
}

TEST(Endpoints, the_scheme_says_whether_it_is_tls) {
  EXPECT_EQ(read_as("a:1"), "plain a:1");
  EXPECT_EQ(read_as("http://a:1, http://[::1]:2/"), "plain a:1 [::1]:2");
  EXPECT_EQ(read_as("a:1,http://b:2"), "plain a:1 b:2");
  EXPECT_EQ(read_as("https://a:1/"), "tls a:1");
  EXPECT_EQ(read_as("HTTPS://a:1"), "tls a:1");
  EXPECT_EQ(read_as("a:1,https://b:2", true), "tls a:1 b:2");
}

TEST(Endpoints, what_contradicts_itself_is_refused_and_never_becomes_plain_text) {
  EXPECT_EQ(
      read_as("http://a:1", true),
      "the etcd endpoint \"http://a:1\" says plain text, and --etcd-ca says TLS: write https:// or leave one out");
  for (const char* mixed : {"https://a:1,b:2", "b:2,https://a:1", "http://b:2,https://a:1"})
    EXPECT_NE(read_as(mixed).find("mix https:// with plain text"), std::string::npos) << mixed;
  for (const char* none :
       {"a", "a:x", "https://a", "unix://a:1", "grpc://a:1", "http://u@a:1", "http://a:1/x", "a:1,,b:2"})
    EXPECT_NE(read_as(none).find("is not HOST:PORT"), std::string::npos) << read_as(none);
  EXPECT_EQ(read_as(""), "no etcd endpoint is given; name at least one HOST:PORT");
}

TEST(FailureWords, a_connection_fails_in_the_words_of_the_system) {
  const std::string frame = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: ";
  EXPECT_EQ(connection_words(frame + "Failed to connect to remote host: Connection refused"),
            "Connection refused; nothing listens there: is it started?");
  EXPECT_EQ(connection_words(frame + "Failed to connect to remote host: No route to host"), "No route to host");
  EXPECT_EQ(connection_words("DNS resolution failed for x:1: C-ares status is not ARES_SUCCESS qtype=A name=x "
                             "is_balancer=0: Domain name not found"),
            "its name cannot be resolved: Domain name not found");
  EXPECT_EQ(connection_words(frame + "Peer name 127.0.0.1 is not in peer certificate"),
            "its certificate is for another name: Peer name 127.0.0.1 is not in peer certificate");
  EXPECT_EQ(connection_words(frame + "Trying to connect an http1.x server"),
            "an HTTP server answers that is no etcd: is this etcd's client port?");
  EXPECT_NE(connection_words(frame + "Socket closed").find("hangs up: is it etcd's client port"), std::string::npos);
  EXPECT_EQ(connection_words("words that nobody knows"), "words that nobody knows");
  EXPECT_TRUE(may_be_tls(frame + "Socket closed"));
  EXPECT_TRUE(may_be_tls(frame + "Ssl handshake failed: SSL_ERROR_SSL: SSL routines::certificate verify failed"));
  EXPECT_FALSE(may_be_tls(frame + "Failed to connect to remote host: Connection refused"));
}

TEST(GrpcEnvironment, a_way_to_poll_that_grpc_does_not_know_is_taken_away) {
  for (const auto& [given, stays] : {std::pair{"foo", false}, {"", false}, {"foo,poll", true}, {"epoll1", true}}) {
    ::setenv("GRPC_POLL_STRATEGY", given, 1);
    drop_unusable_grpc_settings();
    EXPECT_EQ(std::getenv("GRPC_POLL_STRATEGY") != nullptr, stays) << given;
  }
  ::unsetenv("GRPC_POLL_STRATEGY");
}

TEST(FailureWords, etcds_answer_stands_in_ours_with_what_to_do) {
  for (const auto& [said, advice] : {std::pair{"etcdserver: user name is empty", "etcdctl auth disable"},
                                     {"etcdserver: permission denied", "readwrite on the prefix /regroup/"},
                                     {"etcdserver: mvcc: database space exceeded", "etcdctl alarm disarm"},
                                     {"etcdserver: no leader", "most of its members are away"},
                                     {"unknown service etcdserverpb.KV", "3.4 or later"},
                                     {"Received http2 header with status: 404", "3.4 or later"}}) {
    EXPECT_TRUE(answer_words(said).starts_with(std::string(said) + "; ")) << answer_words(said);
    EXPECT_NE(answer_words(said).find(advice), std::string::npos) << answer_words(said);
  }
  EXPECT_EQ(answer_words("etcdserver: corrupt cluster"), "etcdserver: corrupt cluster");
  EXPECT_EQ(answer_words("Deadline Exceeded"), "no answer in time");
}

std::string cause(const std::string& log) {
  std::istringstream in(log);
  return cli::cause_in_log(in);
}

TEST(EtcdLog, the_gravest_line_is_the_cause_in_either_format) {
  EXPECT_EQ(cause(""), "nothing");
  EXPECT_EQ(cause("2026-11-30 15:26:56.530536 C | pkg/flags: conflicting environment variable\n"),
            "pkg/flags: conflicting environment variable");
  EXPECT_EQ(cause("{\"level\":\"warn\",\"msg\":\"simple token is not signed\"}\n"
                  "{\"level\":\"fatal\",\"msg\":\"discovery failed\",\"error\":\"no space left on device\"}\n"
                  "{\"level\":\"info\",\"msg\":\"closing\"}\n"),
            "discovery failed: no space left on device");
  EXPECT_EQ(cause("panic: freepages: failed to get all reachable pages\n\ngoroutine 1 [running]:\n"),
            "panic: freepages: failed to get all reachable pages");
  EXPECT_EQ(cause("some words\n[1, 2]\n"), "[1, 2]");
}

}  // namespace
}  // namespace regroup
