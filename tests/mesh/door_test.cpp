// At the door: secrets, garbage, oversize frames, two who dial each other at once.
#include "base/log.hpp"
#include "base/now.hpp"
#include "mesh/wire.hpp"
#include "net/address.hpp"
#include "tests/mesh/raw_peer.hpp"

#include <sys/resource.h>

#include <ctime>
#include <fstream>
#include <random>

namespace regroup::mesh::test {
namespace {

template <class F>
bool eventually(F condition) {
  for (int i = 0; i < 60'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

TEST(MeshDoor, a_peer_with_another_secret_is_refused_by_both_sides) {
  World world(2);
  auto mesh = world.open(0);
  auto options = world.options(1);
  options.secret = "another";
  auto stranger = Mesh::open(options, {});
  MESH_OK(stranger);
  const auto result = mesh->enter(Epoch{1}, world.peers, kGenerous);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kPeerLost);
  EXPECT_NE(result.error().context.find("secret"), std::string::npos) << result.error().context;
  const auto theirs = (*stranger)->enter(Epoch{1}, world.peers, kGenerous);
  ASSERT_FALSE(theirs);
  EXPECT_FALSE(mesh->connected(worker(1)));
  EXPECT_GE(mesh->counters().refused, 1u);
}

TEST(MeshDoor, an_address_where_another_worker_listens_now_refuses) {
  World world(2);
  auto mesh = world.open(0), other = world.open(1);
  auto peers = world.peers;
  peers[1].id.start = 9;  // an earlier life's plan
  const auto result = mesh->enter(Epoch{1}, peers, kGenerous);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kPeerLost);
}

TEST(MeshDoor, garbage_on_the_port_harms_nobody_and_is_counted) {
  World world(2);
  std::vector<std::unique_ptr<Mesh>> meshes;
  meshes.push_back(world.open(0));
  meshes.push_back(world.open(1));
  std::thread other([&] { MESH_OK(meshes[1]->enter(Epoch{1}, world.peers, kGenerous)); });
  MESH_OK(meshes[0]->enter(Epoch{1}, world.peers, kGenerous));
  other.join();
  std::mt19937 random(1);
  constexpr int kStrangers = 60;
  for (int i = 0; i < kStrangers; ++i) {
    RawSocket socket(world.peers[0].address);
    std::string bytes(1 + random() % 3000, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    if (i % 3 == 1) bytes = "GET / HTTP/1.1\r\nHost: mesh\r\n\r\n";
    if (i % 3 == 2) {  // a good beginning, then nonsense
      Handshake handshake = Handshake::dial(worker(5), worker(0), Lane::kBulk, "a secret");
      bytes = handshake.output().substr(0, 8 + random() % 30) + bytes;
    }
    socket.write(bytes);
    if (i % 3 != 2) {
      EXPECT_TRUE(socket.closed());
    }
  }
  RawSocket mute(world.peers[0].address);  // says nothing: the deadline ends it
  EXPECT_TRUE(mute.closed());
  EXPECT_TRUE(eventually([&] { return meshes[0]->counters().refused >= kStrangers + 1; }))
      << meshes[0]->counters().refused;
  const auto word = pattern(1000, 1);
  MESH_OK(meshes[0]->wait(meshes[0]->send(Rank{1}, Tag{1}, word)));
  const auto got = meshes[1]->wait_message(meshes[1]->receive_message(Rank{0}, Tag{1}));
  MESH_OK(got);
  EXPECT_EQ(*got, word);
}

TEST(MeshDoor, an_oversize_or_malformed_frame_of_a_proved_peer_ends_its_connection) {
  World world(1);
  Told told;
  auto mesh = world.open(0, told.events());
  const auto frames = [] {
    std::vector<std::string> all;
    Frame frame{FrameType::kData, 1, 1, Options{}.max_message_bytes + 1, 0, 100};
    std::string bytes(kFrameBytes, '\0');
    encode_frame(frame, reinterpret_cast<std::byte*>(bytes.data()));
    all.push_back(bytes);  // above the limit
    frame = {FrameType::kData, 1, 1, 100, 90, 20};
    encode_frame(frame, reinterpret_cast<std::byte*>(bytes.data()));
    all.push_back(bytes);  // a piece that leaves its message
    all.push_back(std::string(kFrameBytes, 'x'));
    return all;
  }();
  std::uint64_t refused = mesh->counters().refused;
  int round = 0;
  for (const std::string& frame : frames) {
    const int met = round++;
    const RawPeer peer(world);
    ASSERT_TRUE(told.wait_for([&] { return told.connected > met; }));
    peer.bulk.write(frame);
    EXPECT_TRUE(peer.bulk.closed());
    EXPECT_TRUE(peer.control.closed());
    EXPECT_EQ(mesh->counters().refused, ++refused);
  }
}

TEST(MeshDoor, a_frame_cut_anywhere_into_small_writes_is_read_as_one) {
  World world(1);
  Told told;
  auto mesh = world.open(0, told.events());
  const RawPeer peer(world);
  ASSERT_TRUE(told.wait_for([&] { return told.connected == 1; }));
  const std::vector<Peer> peers = {world.peers[0], {worker(5), ""}};
  MESH_OK(mesh->enter(Epoch{1}, peers, kGenerous));
  std::mt19937 random(2);
  std::string stream;
  const auto body = pattern(5000, 3);
  for (std::uint64_t tag = 0; tag < 3; ++tag) {
    for (std::size_t offset = 0; offset < body.size(); offset += 1000) {
      std::string head(kFrameBytes, '\0');
      encode_frame({FrameType::kData, 1, tag, body.size(), offset, 1000}, reinterpret_cast<std::byte*>(head.data()));
      stream += head + std::string(reinterpret_cast<const char*>(body.data()) + offset, 1000);
    }
  }
  for (std::size_t at = 0; at < stream.size();) {
    const std::size_t part = std::min<std::size_t>(1 + random() % 70, stream.size() - at);
    peer.bulk.write(std::string_view(stream).substr(at, part));
    at += part;
  }
  for (std::uint64_t tag = 0; tag < 3; ++tag) {
    const auto got = mesh->wait_message(mesh->receive_message(Rank{1}, Tag{tag}));
    MESH_OK(got);
    EXPECT_TRUE(*got == body);
  }
}

TEST(MeshDoor, two_who_dial_each_other_at_once_a_thousand_times_lose_no_message) {
  for (int round = 0; round < 1000; ++round) {
    World world(2);
    Told told[2];
    std::vector<std::unique_ptr<Mesh>> meshes;
    for (int i = 0; i < 2; ++i) meshes.push_back(world.open(i, told[i].events()));
    std::atomic<int> ready{0};
    const auto body = [&](int rank) {
      Mesh& mesh = *meshes[static_cast<std::size_t>(rank)];
      ++ready;
      while (ready < 2) {
      }
      MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
      const auto small = pattern(100, 1), large = pattern(40'000, 2);
      std::vector<std::byte> in(40'000);
      const auto receive = mesh.receive(Rank{1 - rank}, Tag{2}, in);
      const auto send = mesh.send(Rank{1 - rank}, Tag{2}, large);
      MESH_OK(mesh.wait(mesh.send(Rank{1 - rank}, Tag{1}, small, Lane::kControl)));
      MESH_OK(mesh.wait_message(mesh.receive_message(Rank{1 - rank}, Tag{1})));
      MESH_OK(mesh.wait(receive));
      MESH_OK(mesh.wait(send));
      EXPECT_TRUE(in == large);
      MESH_OK(barrier(mesh, all_ranks(2), Tag{3}));
    };
    std::thread other([&] { body(1); });
    body(0);
    other.join();
    for (Told& t : told) {
      const std::lock_guard lock(t.mutex);
      EXPECT_TRUE(t.lost.empty()) << "round " << round;
      EXPECT_EQ(t.connected, 1) << "round " << round;
    }
    if (HasFailure()) return;
  }
}

TEST(MeshDoor, warm_connects_before_anybody_enters_even_when_the_other_side_listens_later) {
  World world(2);
  Told told;
  auto first = world.open(0, told.events());
  first->warm(world.peers);
  EXPECT_FALSE(first->connected(worker(1)));
  auto second = world.open(1);
  ASSERT_TRUE(told.wait_for([&] { return told.connected == 1; }));
  EXPECT_TRUE(first->connected(worker(1)));
}

TEST(MeshDoor, enter_times_out_with_the_names_of_those_who_are_missing) {
  World world(2);
  auto mesh = world.open(0);
  const std::vector<Peer> peers = {world.peers[0], {worker(1), ""}};  // no address: it must dial us, and never does
  const auto result = mesh->enter(Epoch{1}, peers, 50ms);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kTimeout);
  EXPECT_NE(result.error().context.find(to_string(worker(1))), std::string::npos);
  auto second = world.open(1);
  second->warm(world.peers);
  MESH_OK(mesh->enter(Epoch{1}, peers, kGenerous));
}

double cpu_seconds() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
}

void allow_files(rlim_t most) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = most;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
}

int lines_with(const std::string& file, const std::string& word) {
  std::ifstream in(file);
  int found = 0;
  for (std::string line; std::getline(in, line);) found += line.find(word) != std::string::npos;
  return found;
}

TEST(MeshDoor, a_listener_without_a_free_file_rests_and_accepts_when_there_is_one) {
  World world(2);
  const std::string log = world.dir.file("log");
  Signal full, dialled, met;
  Child child([&] {
    log::start("test", log::Level::kInfo, log);
    const auto mesh = world.open(1);
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const int next = ::dup(0);
    ::close(next);
    allow_files(static_cast<rlim_t>(next));
    full.tell();
    dialled.await();
    const double used = cpu_seconds();
    const auto since = Clock::now();
    std::this_thread::sleep_for(1500ms);
    const double spun = cpu_seconds() - used;
    allow_files(before.rlim_cur);
    const int complaints = lines_with(log, "mesh_accept_failed");
    std::fprintf(stderr, "%.3f s of CPU and %d lines in %.1f s without a free file\n", spun, complaints,
                 seconds_since(since));
    if (spun > 0.5 || complaints < 1 || complaints > seconds_since(since) + 1.5 || mesh->connected(worker(0))) return 1;
    if (!meet(*mesh, world)) return 2;
    met.await();
    return 0;
  });
  full.await();
  const auto mesh = world.open(0);
  mesh->warm(world.peers);
  dialled.tell();
  EXPECT_TRUE(meet(*mesh, world));
  met.tell();
  EXPECT_EQ(child.wait(), 0);
}

TEST(MeshDoor, a_socket_file_left_by_a_dead_process_is_replaced_and_a_live_one_is_a_conflict) {
  World world(1);
  {
    Child dead([&] {
      auto mesh = world.open(0);
      ::kill(::getpid(), SIGKILL);
      return 0;
    });
    dead.wait();
  }
  ASSERT_TRUE(std::filesystem::exists(world.dir.file("0")));
  auto mesh = world.open(0);
  ASSERT_TRUE(mesh);
  const auto second = Mesh::open(world.options(0), {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
}

TEST(MeshDoor, peers_meet_over_ipv6) {
  auto probe = listen_on("tcp:[::1]:0", Buffers::kSystem);
  if (!probe) GTEST_SKIP() << "no IPv6 here: " << to_string(probe.error());
  close_listening(*probe);
  World world(2);
  std::vector<std::unique_ptr<Mesh>> meshes;
  for (int i = 0; i < 2; ++i) {
    world.peers[static_cast<std::size_t>(i)].address = "tcp:[::1]:0";
    meshes.push_back(world.open(i));
    ASSERT_TRUE(meshes.back());
    world.peers[static_cast<std::size_t>(i)].address = meshes.back()->address();
  }
  std::thread other([&] { MESH_OK(meshes[1]->enter(Epoch{1}, world.peers, kGenerous)); });
  MESH_OK(meshes[0]->enter(Epoch{1}, world.peers, kGenerous));
  other.join();
}

TEST(MeshDoor, bad_options_are_refused_with_one_sentence) {
  World world(1);
  const auto code_of = [](const Options& options) {
    const auto mesh = Mesh::open(options, {});
    return mesh ? Code::kInternal : mesh.error().code;
  };
  auto options = world.options(0);
  options.secret.clear();
  EXPECT_EQ(code_of(options), Code::kBadInput);
  for (const char* listen : {"", "unix:", "tcp:host", "tcp::", "tcp:127.0.0.1:port", "udp:1:2"}) {
    options = world.options(0);
    options.listen = listen;
    EXPECT_EQ(code_of(options), Code::kBadInput) << listen;
  }
  options.listen = "unix:/tmp/" + std::string(120, 'x');
  EXPECT_EQ(code_of(options), Code::kBadInput);
  options.listen = "unix:/nowhere/at/all";
  EXPECT_EQ(code_of(options), Code::kUnavailable);
}

}  // namespace
}  // namespace regroup::mesh::test
