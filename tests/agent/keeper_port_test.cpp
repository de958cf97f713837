// The peer port against strangers, garbage and crowds.
#include "agent/snapshots/peer_requests.hpp"
#include "api/snapshots/peer_wire.hpp"
#include "net/address.hpp"
#include "tests/agent/keeper_world.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <thread>

namespace regroup::testing {
namespace {

PeerSocket dial(const KeeperNode& node) {
  auto socket = PeerSocket::dial(node.keeper->address(), 30s);
  if (!socket) throw std::runtime_error(to_string(socket.error()));
  return std::move(*socket);
}

PeerSocket admitted(const KeeperNode& node) {
  PeerSocket socket = dial(node);
  const auto proved = prove_to_server(socket, node.job.name, node.job.secret);
  if (!proved) throw std::runtime_error(to_string(proved.error()));
  return socket;
}

// Until the other side hangs up.
void expect_hang_up(PeerSocket& socket) {
  char byte = 0;
  Result<void> got;
  while ((got = socket.read(&byte, 1))) {
  }
  EXPECT_EQ(got.error().code, Code::kPeerLost);
}

Result<void> ask(PeerSocket& socket, const std::string& request) {
  auto sent = socket.write_frame(request);
  if (!sent) return sent;
  auto reply = socket.read_frame(kPeerMaxFrame);
  if (!reply) return reply.error();
  return error_from_json(*reply, "the server");
}

TEST(PeerPort, ipv6_is_as_good_as_any_other_address) {
  auto probe = listen_on("tcp:[::1]:0", Buffers::kSystem);
  if (!probe) GTEST_SKIP() << "no IPv6 here: " << to_string(probe.error());
  close_listening(*probe);
  const KeeperNode node(test_job(), 5s, "tcp:[::1]:0");
  EXPECT_TRUE(node.keeper->address().starts_with("tcp:[::1]:")) << node.keeper->address();
  EXPECT_EQ(node.listed(), std::vector<std::string>{});
}

TEST(PeerPort, a_live_socket_is_not_taken_from_its_owner) {
  const KeeperNode node;
  const auto second = SnapshotKeeper::start({node.keeper->address(), 5s}, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
  EXPECT_TRUE(node.client()) << "the first still answers";
}

TEST(PeerPort, a_wrong_secret_and_an_unknown_job_are_refused_alike) {
  KeeperNode node;
  const auto wrong = SnapshotClient::connect(node.keeper->address(), node.job.name, "not it", 30s);
  const auto unknown = SnapshotClient::connect(node.keeper->address(), "nobody", node.job.secret, 30s);
  const auto empty = SnapshotClient::connect(node.keeper->address(), "", "", 30s);
  ASSERT_FALSE(wrong);
  ASSERT_FALSE(unknown);
  ASSERT_FALSE(empty);
  EXPECT_EQ(wrong.error().code, Code::kBadInput);
  EXPECT_EQ(wrong.error().context, unknown.error().context);
  EXPECT_EQ(node.listed(), std::vector<std::string>{});
}

TEST(PeerPort, what_strangers_send_ends_their_connection_alone) {
  KeeperNode node;
  std::mt19937_64 random(1);
  for (int round = 0; round < 50; ++round) {
    PeerSocket socket = dial(node);
    std::vector<char> noise(1 + random() % 6000);
    for (char& byte : noise) byte = static_cast<char>(random());
    if (round % 3 == 0) std::memset(noise.data(), 0xff, std::min<std::size_t>(noise.size(), 4));  // a frame of 4 GiB
    (void)socket.write({{noise.data(), noise.size()}});
    ::shutdown(socket.fd(), SHUT_WR);
    expect_hang_up(socket);
  }
  EXPECT_EQ(node.listed(), std::vector<std::string>{});
}

TEST(PeerPort, a_proof_that_lacks_a_field_is_refused_as_a_wrong_one) {
  KeeperNode node;
  for (const char* hello : {"{}", "[]", "no JSON", R"({"job": 1, "nonce": "", "proof": ""})"}) {
    PeerSocket socket = dial(node);
    char greeting[36];
    ASSERT_TRUE(socket.read(greeting, sizeof greeting));
    ASSERT_TRUE(socket.write_frame(hello));
    const auto reply = socket.read_frame(kPeerMaxHello);
    ASSERT_TRUE(reply) << hello;
    EXPECT_NE(reply->find("the job is unknown there or the secret is wrong"), std::string::npos) << *reply;
    expect_hang_up(socket);
  }
}

TEST(PeerPort, a_stranger_who_says_nothing_is_let_go) {
  KeeperNode node(test_job(), 100ms);
  PeerSocket socket = dial(node);
  expect_hang_up(socket);
  PeerSocket trickling = dial(node);  // bytes now and then do not help: the hello has a deadline of its own
  const char length[4] = {100, 0, 0, 0};
  (void)trickling.write({{const_cast<char*>(length), 4}});
  expect_hang_up(trickling);
}

TEST(PeerPort, requests_that_make_no_sense_are_refused_and_the_connection_stays_good) {
  KeeperNode node;
  StandInWorker worker(node, worker_on("a"));
  EXPECT_EQ(worker.take(0, Step(1), {{0, {0, 256}}}).problem, "");
  PeerSocket socket = admitted(node);
  for (const char* request :
       {"",
        "no json",
        "[]",
        "{}",
        "17",
        R"({"do":1})",
        R"({"do":"dance"})",
        R"({"do":"fetch"})",
        R"({"do":"fetch","step":1,"unit":-1,"lo":0,"hi":1})",
        R"({"do":"fetch","step":1,"unit":0,"lo":5,"hi":5})",
        R"({"do":"fetch","step":1,"unit":0,"lo":-5,"hi":5})",
        R"({"do":"fetch","step":1,"unit":0,"lo":0,"hi":2147483647})",
        R"({"do":"fetch","step":"x","unit":0,"lo":0,"hi":1})",
        R"({"do":"put"})",
        R"({"do":"put","taken_by":"x","step":1,"epoch":1,"place":0,"bad":[0,0],"safe":-1,"entries":[]})",
        R"({"do":"put","taken_by":"b/1/0/0","step":1,"epoch":1,"place":0,"bad":[0,0],"safe":-1,"entries":[]})",
        R"({"do":"put","taken_by":"b/1/0/0","step":1,"epoch":1,"place":0,"bad":[0,0],"safe":-1,"entries":[[0,0,257]]})",
        R"({"do":"put","taken_by":"b/1/0/0","step":1,"epoch":1,"place":0,"bad":[0,0],"safe":-1,"entries":[[99,0,1]]})",
        R"({"do":"put","taken_by":"b/1/0/0","step":1,"epoch":1,"place":0,"bad":[0,0],"safe":-1,"entries":[[0,0]]})",
        R"({"do":"put","taken_by":"b/1/0/0","step":1,"epoch":1,"place":0,"bad":[0,0],"entries":[[0,0,1]]})"}) {
    const auto answered = ask(socket, request);
    ASSERT_FALSE(answered) << request;
    EXPECT_NE(answered.error().code, Code::kPeerLost) << request;
  }
  EXPECT_TRUE(ask(socket, R"({"do":"list"})"));
}

TEST(PeerPort, a_frame_that_is_too_long_ends_the_connection) {
  KeeperNode node;
  PeerSocket socket = admitted(node);
  const std::uint32_t length = kPeerMaxFrame + 1;
  ASSERT_TRUE(socket.write({{const_cast<std::uint32_t*>(&length), sizeof length}}));
  expect_hang_up(socket);
  EXPECT_EQ(node.listed(), std::vector<std::string>{});
}

KeptSnapshot snapshot_with(std::uint64_t first_checksum_off_by) {
  KeptSnapshot snapshot;
  snapshot.taken_by = worker_on("b");
  snapshot.step = Step(4);
  snapshot.epoch = Epoch(2);
  const std::vector<std::int64_t> block_elements{make_units(tiny_shape()).front().block_elements};
  std::vector<SnapshotEntry> entries{{0, {0, 8}, 0}};
  const auto bytes = lay_out(entries, block_elements);
  snapshot.memory = std::make_shared<RegionPool>()->take(*bytes).value();
  snapshot.entries = check_entries(entries, block_elements, *bytes).value();
  snapshot.checksums = sums_of(snapshot);
  snapshot.checksums.front() += first_checksum_off_by;
  return snapshot;
}

TEST(PeerPort, a_put_that_does_not_match_its_checksums_is_refused_and_leaves_nothing) {
  KeeperNode node;
  PeerSocket socket = admitted(node);
  const auto torn = put_snapshot(socket, snapshot_with(1), Step(-1), "the server");
  ASSERT_FALSE(torn);
  EXPECT_EQ(torn.error().code, Code::kCorrupt);
  EXPECT_EQ(node.listed(), std::vector<std::string>{});
  EXPECT_TRUE(put_snapshot(socket, snapshot_with(0), Step(-1), "the server"));  // on the same connection
  EXPECT_EQ(node.listed(), std::vector<std::string>{"b/4"});
}

TEST(PeerPort, a_put_that_breaks_off_leaves_what_was_there) {
  KeeperNode node;
  PeerSocket socket = admitted(node);
  EXPECT_TRUE(put_snapshot(socket, snapshot_with(0), Step(-1), "the server"));
  EXPECT_TRUE(ask(socket, R"({"do":"put","taken_by":"b/abc/0/0","step":5,"epoch":2,"place":0,"bad":[0,0],)"
                          R"("safe":5,"entries":[[0,0,256]]})"));
  ::shutdown(socket.fd(), SHUT_WR);
  expect_hang_up(socket);
  EXPECT_EQ(node.listed(), std::vector<std::string>{"b/4"});
}

TEST(PeerPort, connections_that_rest_make_room_for_new_ones) {
  KeeperNode node(test_job(), 5s, {}, {.connections = 64});
  std::vector<PeerSocket> resting;
  for (int i = 0; i < 80; ++i) {
    resting.push_back(admitted(node));
    ASSERT_TRUE(ask(resting.back(), R"({"do":"list"})")) << i;
  }
  expect_hang_up(resting.front());
  EXPECT_TRUE(ask(resting.back(), R"({"do":"list"})"));
}

TEST(PeerPort, strangers_who_say_nothing_do_not_shut_it) {
  KeeperNode node(test_job(), 30s);
  std::vector<PeerSocket> silent;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 200; ++i) silent.push_back(dial(node));
  EXPECT_EQ(node.listed(), std::vector<std::string>{});
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
  expect_hang_up(silent.front());
}

TEST(PeerPort, who_asks_while_others_are_answered_waits_and_is_told_so) {
  KeeperNode node(test_job(), 30s, {}, {.at_work = 1});
  PeerSocket busy = admitted(node);
  EXPECT_TRUE(ask(busy, R"({"do":"put","taken_by":"b/abc/0/0","step":5,"epoch":2,"place":0,"bad":[0,0],)"
                        R"("safe":-1,"entries":[[0,0,256]]})"));
  PeerSocket waits = admitted(node);
  ASSERT_TRUE(waits.write_frame(R"({"do":"list"})"));
  for (int sign = 0; sign < 2; ++sign) EXPECT_EQ(waits.read_frame(kPeerMaxFrame).value(), kPeerWait);
  // A client takes this for a sign of life, and waits for longer than it would for silence.
  auto client = SnapshotClient::connect(node.keeper->address(), node.job.name, node.job.secret, 500ms);
  ASSERT_TRUE(client);
  std::thread ends([&] {
    for (int sign = 0; sign < 5; ++sign) EXPECT_EQ(waits.read_frame(kPeerMaxFrame).value(), kPeerWait);  // 200 ms each
    ::shutdown(busy.fd(), SHUT_WR);
  });
  const auto listed = (*client)->list();
  EXPECT_TRUE(listed) << to_string(listed.error());
  ends.join();
  EXPECT_TRUE(read_reply(waits));
}

}  // namespace
}  // namespace regroup::testing
