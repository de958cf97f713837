// The shared contract on a real etcd.
#include "cli/etcd/loopback.hpp"
#include "tests/etcd/election_suite.hpp"
#include "tests/etcd/etcd_world.hpp"

namespace regroup::testing {
namespace {

INSTANTIATE_TYPED_TEST_SUITE_P(Etcd, StoreSuite, EtcdWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Etcd, ElectionSuite, EtcdWorld);

TEST(EtcdStore, an_endpoint_that_is_none_is_refused_with_its_text) {
  for (const char* text : {"", "localhost", "http://:", "host:port", "a:1,b"}) {
    const auto store = EtcdStore::open(text);
    ASSERT_FALSE(store) << text;
    EXPECT_EQ(store.error().code, Code::kBadInput);
  }
  EtcdOptions options;
  options.ca_file = "/nowhere.pem";
  EXPECT_FALSE(EtcdStore::open("localhost:1", options));
}

TEST(EtcdStore, without_an_etcd_every_call_ends_by_its_deadline_and_says_that_nothing_was_done) {
  EtcdOptions options;
  options.timeout = std::chrono::milliseconds(300);
  const auto store = EtcdStore::open("127.0.0.1:" + std::to_string(cli::free_ports(1).at(0)), options);
  ASSERT_TRUE(store);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ((*store)->put("/a", "1").error().code, Code::kUnavailable);
  EXPECT_EQ((*store)->get("/a").error().code, Code::kUnavailable);
  EXPECT_EQ((*store)->list("/").error().code, Code::kUnavailable);
  EXPECT_EQ((*store)->grant(std::chrono::seconds(3)).error().code, Code::kUnavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  WatchLog log;
  const auto watch = (*store)->watch("/", log.callback());
  EXPECT_TRUE(log.updates().empty()) << "the first thing told is the content";
}

TEST(EtcdProcess, a_port_in_use_is_named) {
  EtcdWorld world;
  cli::EtcdProcessOptions options;
  options.client_port = world.etcd().options().client_port;
  const auto second = cli::EtcdProcess::start(options);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().context.find(std::to_string(options.client_port)), std::string::npos)
      << second.error().context;
  EXPECT_NE(second.error().context.find("in use"), std::string::npos) << second.error().context;
}

}  // namespace
}  // namespace regroup::testing
