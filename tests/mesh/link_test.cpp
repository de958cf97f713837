// A connection that breaks and is had again: the messages of the epoch are gone, and both sides say so.
#include "tests/mesh/raw_peer.hpp"

#include <netinet/in.h>
#include <sys/prctl.h>

#include <random>

namespace regroup::mesh::test {
namespace {

// The TCP sockets of this process that are connected, on either end.
std::vector<int> tcp_connections() {
  std::vector<int> found;
  for (int fd = 0; fd < 256; ++fd) {
    sockaddr_storage name{};
    socklen_t length = sizeof(name);
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&name), &length) == 0 && name.ss_family == AF_INET)
      found.push_back(fd);
  }
  return found;
}

struct Pair {
  Pair() {
    world.heartbeat = 2s;  // a busy machine must not take longer than that to redial
    for (std::size_t i = 0; i < 2; ++i) {
      world.peers[i].address = "tcp:127.0.0.1:0";
      meshes[i] = world.open(static_cast<int>(i), told[i].events());
      world.peers[i].address = meshes[i]->address();
    }
  }
  void both(const std::function<Result<void>(Mesh&, int)>& what) {
    std::thread other([&] { MESH_OK(what(*meshes[1], 1)); });
    MESH_OK(what(*meshes[0], 0));
    other.join();
  }
  // Ends one of the two connections, at either end, by an end of file or by a reset.
  void break_one(std::mt19937& random) const {
    const auto connections = tcp_connections();
    ASSERT_EQ(connections.size(), 4u);
    const int fd = connections[random() % connections.size()];
    const linger reset{1, 0};
    if (random() % 2 == 0) ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    ::shutdown(fd, SHUT_RDWR);
  }

  World world{2};
  Told told[2];
  std::unique_ptr<Mesh> meshes[2];
};

TEST(MeshLink, a_connection_that_is_had_again_left_a_gap_which_both_sides_report_once) {
  constexpr int kBreaks = 100;
  Pair pair;
  std::mt19937 random(1);
  std::vector<std::string> story = {"connected"};
  for (int round = 1; round <= kBreaks && !::testing::Test::HasFailure(); ++round) {
    pair.both([&](Mesh& mesh, int) {
      return mesh.enter(Epoch{static_cast<std::uint64_t>(round)}, pair.world.peers, kGenerous);
    });
    pair.both([](Mesh& mesh, int) { return barrier(mesh, all_ranks(2), Tag{1}); });
    const TransferPtr receives[] = {pair.meshes[0]->receive_message(Rank{1}, Tag{2}),
                                    pair.meshes[1]->receive_message(Rank{0}, Tag{2})};
    ASSERT_NO_FATAL_FAILURE(pair.break_one(random));
    story.insert(story.end(), {"connected", "link"});
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_TRUE(pair.told[i].wait_for([&] { return pair.told[i].story.size() >= story.size(); }));
      EXPECT_EQ(pair.meshes[i]->wait(receives[i]).error().code, Code::kPeerLost);
      EXPECT_TRUE(pair.meshes[i]->connected(worker(1 - static_cast<int>(i))));
    }
  }
  std::this_thread::sleep_for(300ms);  // shows that nothing more is said
  for (Told& told : pair.told) {
    const std::lock_guard lock(told.mutex);
    EXPECT_EQ(told.story, story);
  }
}

TEST(MeshLink, of_a_peer_that_takes_no_part_no_gap_is_reported) {
  Pair pair;
  pair.both([&](Mesh& mesh, int) { return mesh.enter(Epoch{1}, pair.world.peers, kGenerous); });
  pair.both([&](Mesh& mesh, int rank) {
    return mesh.enter(Epoch{2}, {pair.world.peers[static_cast<std::size_t>(rank)]}, kGenerous);
  });
  std::mt19937 random(1);
  ASSERT_NO_FATAL_FAILURE(pair.break_one(random));
  for (Told& told : pair.told) {
    ASSERT_TRUE(told.wait_for([&] { return told.connected == 2; }));
    std::this_thread::sleep_for(100ms);  // shows that nothing more is said
    const std::lock_guard lock(told.mutex);
    EXPECT_TRUE(told.lost.empty());
  }
}

struct Anew {
  Anew() {
    world.heartbeat = 20s;  // the raw peer does not beat
    mesh = world.open(0, told.events());
    peer = std::make_unique<RawPeer>(world);
    EXPECT_TRUE(told.wait_for([&] { return told.connected == 1; }));
    EXPECT_TRUE(mesh->enter(Epoch{1}, peers, kGenerous));
  }
  // Both lanes anew, before the other side has seen anything of a break.
  void dial_again() { again = std::make_unique<RawPeer>(world); }
  bool says(const std::vector<std::string>& story) {
    return told.wait_for([&] { return told.story == story; });
  }

  World world{1};
  const std::vector<Peer> peers = {world.peers[0], {worker(5), ""}};
  Told told;
  std::unique_ptr<Mesh> mesh;
  std::unique_ptr<RawPeer> peer, again;
};

TEST(MeshLink, a_peer_that_connects_anew_before_we_noticed_left_a_gap) {
  Anew anew;
  const auto receive = anew.mesh->receive_message(Rank{1}, Tag{1});
  anew.dial_again();
  EXPECT_TRUE(anew.says({"connected", "connected", "link"}));
  EXPECT_EQ(anew.mesh->wait(receive).error().code, Code::kPeerLost);
}

TEST(MeshLink, a_gap_in_an_epoch_not_entered_yet_is_reported_when_it_is) {
  Anew anew;
  anew.peer->control.write(RawPeer::bytes_of({FrameType::kData, 2, 1, 10, 0, 10}) + "0123456789");
  while (anew.mesh->counters().bytes_received < kFrameBytes + 10) std::this_thread::yield();
  anew.dial_again();
  EXPECT_TRUE(anew.says({"connected", "connected", "link"}));
  MESH_OK(anew.mesh->enter(Epoch{2}, anew.peers, kGenerous));
  EXPECT_TRUE(anew.says({"connected", "connected", "link", "link"}));
  MESH_OK(anew.mesh->wait_message(anew.mesh->receive_message(Rank{1}, Tag{1})));  // came whole
  EXPECT_EQ(anew.mesh->wait(anew.mesh->receive_message(Rank{1}, Tag{2})).error().code, Code::kPeerLost);
  MESH_OK(anew.mesh->enter(Epoch{3}, anew.peers, kGenerous));
  EXPECT_EQ(anew.told.so_far(Evidence::kLink), 2);
}

TEST(MeshLink, a_silent_peer_that_is_heard_again_left_a_gap) {
  World world(2);
  world.heartbeat = 100ms;
  Signal go;
  Child child([&] {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    auto mesh = world.open(1);
    if (!meet(*mesh, world) || !mesh->enter(Epoch{1}, world.peers, kGenerous) || !barrier(*mesh, all_ranks(2), Tag{0}))
      return 1;
    go.await();  // it is stopped here
    return mesh->enter(Epoch{2}, world.peers, kGenerous) && barrier(*mesh, all_ranks(2), Tag{0}) ? 0 : 2;
  });
  Told told;
  auto mesh = world.open(0, told.events());
  ASSERT_TRUE(meet(*mesh, world));
  MESH_OK(mesh->enter(Epoch{1}, world.peers, kGenerous));
  MESH_OK(barrier(*mesh, all_ranks(2), Tag{0}));
  child.signal(SIGSTOP);
  ASSERT_TRUE(told.wait_for([&] { return told.count(Evidence::kSilence) == 1; }));
  child.signal(SIGCONT);
  ASSERT_TRUE(told.wait_for([&] { return told.count(Evidence::kLink) == 1; }));
  EXPECT_EQ(mesh->wait(mesh->receive_message(Rank{1}, Tag{1})).error().code, Code::kPeerLost);
  go.tell();
  MESH_OK(mesh->enter(Epoch{2}, world.peers, kGenerous));
  MESH_OK(barrier(*mesh, all_ranks(2), Tag{0}));
  EXPECT_EQ(child.wait(), 0);
  const std::lock_guard lock(told.mutex);
  EXPECT_EQ(std::vector<std::string>(told.story.begin(), told.story.begin() + 4),
            (std::vector<std::string>{"connected", "silence", "connected", "link"}));
}

}  // namespace
}  // namespace regroup::mesh::test
