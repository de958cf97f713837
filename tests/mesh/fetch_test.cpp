// Bulk between processes of one machine: fetched from the sender's memory where that may be read, and never once the
// sender has taken it back.
#include "mesh/peer_memory.hpp"
#include "mesh/wire.hpp"
#include "tests/mesh/raw_peer.hpp"

#include <sys/prctl.h>

#include <cstring>

namespace regroup::mesh::test {
namespace {

constexpr std::size_t kBytes = 5'000'000;

// Of a message of kBytes from `pid`, what must be fetched: none where the kernel does not let us, and the socket
// carries it.
std::size_t expected_from(pid_t pid) {
  std::uint64_t found = 0;  // a child has that address, too
  const int failed =
      read_peer_memory(pid, reinterpret_cast<std::uint64_t>(&found), std::as_writable_bytes(std::span(&found, 1)));
  if (failed != 0) std::printf("memory cannot be read here (%s): through the socket\n", std::strerror(failed));
  return failed == 0 ? kBytes : 0;
}

std::size_t expected_from_a_child() {
  const Signal go;
  Child child([&] {
    go.await();
    return 0;
  });
  const std::size_t expected = expected_from(child.pid());
  go.tell();
  child.wait();
  return expected;
}

// Bytes that rank 0 fetched of `kBytes` that a process sent it.
std::uint64_t fetched(bool we_read, bool they_offer) {
  World world(2);
  Child child([&] {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    auto options = world.options(1);
    options.read_peer_memory = they_offer;
    auto mesh = Mesh::open(options, {});
    const auto message = pattern(kBytes, 1);
    if (!mesh || !meet(**mesh, world) || !(*mesh)->enter(Epoch{1}, world.peers, kGenerous)) return 1;
    // There and back on the lane on which rank 0 is asked whether it reaches us, so by then it has answered.
    if (!(*mesh)->wait((*mesh)->send(Rank{0}, Tag{0}, {})) ||
        !(*mesh)->wait_message((*mesh)->receive_message(Rank{0}, Tag{1})))
      return 2;
    return (*mesh)->wait((*mesh)->send(Rank{0}, Tag{2}, message)) &&
                   (*mesh)->wait_message((*mesh)->receive_message(Rank{0}, Tag{3}))
               ? 0
               : 3;
  });
  auto options = world.options(0);
  options.read_peer_memory = we_read;
  auto mesh = Mesh::open(options, {});
  EXPECT_TRUE(mesh && meet(**mesh, world) && (*mesh)->enter(Epoch{1}, world.peers, kGenerous));
  std::vector<std::byte> in(kBytes);
  const auto receive = (*mesh)->receive(Rank{1}, Tag{2}, in);
  EXPECT_TRUE((*mesh)->wait_message((*mesh)->receive_message(Rank{1}, Tag{0})));
  EXPECT_TRUE((*mesh)->wait((*mesh)->send(Rank{1}, Tag{1}, {})));
  EXPECT_TRUE((*mesh)->wait(receive));
  EXPECT_TRUE(in == pattern(kBytes, 1));
  EXPECT_TRUE((*mesh)->wait((*mesh)->send(Rank{1}, Tag{3}, {})));
  EXPECT_EQ(child.wait(), 0);
  EXPECT_GE((*mesh)->counters().bytes_received, kBytes);
  return (*mesh)->counters().bytes_fetched;
}

TEST(MeshFetch, bulk_of_another_process_is_fetched_unless_either_side_will_not) {
  EXPECT_EQ(fetched(true, true), expected_from_a_child());
  EXPECT_EQ(fetched(false, true), 0u);
  EXPECT_EQ(fetched(true, false), 0u);
}

TEST(MeshFetch, over_tcp_too_when_both_are_on_one_machine) {
  World world(2);
  std::vector<std::unique_ptr<Mesh>> meshes;
  for (int i = 0; i < 2; ++i) {
    world.peers[static_cast<std::size_t>(i)].address = "tcp:127.0.0.1:0";
    meshes.push_back(world.open(i));
    world.peers[static_cast<std::size_t>(i)].address = meshes.back()->address();
  }
  const auto message = pattern(kBytes, 3);
  std::thread other([&] {
    Mesh& mesh = *meshes[1];
    MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
    MESH_OK(mesh.wait(mesh.send(Rank{0}, Tag{0}, {})));
    MESH_OK(mesh.wait_message(mesh.receive_message(Rank{0}, Tag{1})));
    MESH_OK(mesh.wait(mesh.send(Rank{0}, Tag{2}, message)));
  });
  Mesh& mesh = *meshes[0];
  EXPECT_TRUE(mesh.enter(Epoch{1}, world.peers, kGenerous));
  EXPECT_TRUE(mesh.wait_message(mesh.receive_message(Rank{1}, Tag{0})));
  EXPECT_TRUE(mesh.wait(mesh.send(Rank{1}, Tag{1}, {})));
  const auto got = mesh.wait_message(mesh.receive_message(Rank{1}, Tag{2}));
  other.join();
  MESH_OK(got);
  EXPECT_TRUE(*got == message);
  EXPECT_EQ(mesh.counters().bytes_fetched, expected_from(::getpid()));
}

TEST(MeshFetch, what_its_sender_has_taken_back_never_comes_and_what_follows_does) {
  World world(1);
  Told told;
  auto mesh = world.open(0, told.events());
  const RawPeer peer(world);
  ASSERT_TRUE(told.wait_for([&] { return told.connected == 1; }));
  MESH_OK(mesh->enter(Epoch{1}, {world.peers[0], {worker(5), ""}}, kGenerous));
  const auto message = pattern(kBytes, 4);
  std::vector<std::byte> in(kBytes);
  const auto taken_back = mesh->receive(Rank{1}, Tag{1}, in);
  const std::uint64_t seal = fresh_word(), broken = 0;
  peer.introduce();
  peer.offer(1, message, broken, seal);
  peer.offer(2, message, seal, seal);
  const auto got = mesh->wait_message(mesh->receive_message(Rank{1}, Tag{2}));
  if (expected_from(::getpid()) == 0) {  // then nobody may offer at all
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, Code::kPeerLost);
    return;
  }
  MESH_OK(got);
  EXPECT_TRUE(*got == message);
  EXPECT_FALSE(mesh->ready(taken_back));
  EXPECT_TRUE(mesh->connected(worker(5)));
}

TEST(MeshFetch, one_who_reads_no_more_of_a_peer_for_now_can_still_send_to_it) {
  World world(2);
  std::vector<std::unique_ptr<Mesh>> meshes;
  for (int i = 0; i < 2; ++i) {
    auto options = world.options(i);
    if (i == 0) options.max_unmatched_bytes = 1;
    auto mesh = Mesh::open(options, {});
    MESH_OK(mesh);
    meshes.push_back(std::move(*mesh));
  }
  const auto message = pattern(kBytes, 5);
  std::thread other([&] {
    Mesh& mesh = *meshes[1];
    MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
    const auto stays = mesh.send(Rank{0}, Tag{1}, message);  // rank 0 asks for it last
    const auto got = mesh.wait_message(mesh.receive_message(Rank{0}, Tag{2}));
    MESH_OK(got);
    EXPECT_TRUE(*got == message);
    MESH_OK(mesh.wait(stays));
  });
  Mesh& mesh = *meshes[0];
  EXPECT_TRUE(mesh.enter(Epoch{1}, world.peers, kGenerous));
  EXPECT_TRUE(mesh.wait(mesh.send(Rank{1}, Tag{2}, message)));
  const auto got = mesh.wait_message(mesh.receive_message(Rank{1}, Tag{1}));
  other.join();
  MESH_OK(got);
  EXPECT_TRUE(*got == message);
}

TEST(MeshFetch,
     an_offer_of_memory_that_is_not_there_or_of_a_stranger_and_answers_that_nobody_asked_for_end_the_connection) {
  enum class Sin { kNoMemory, kStranger, kTaken, kReachable };
  for (const Sin sin : {Sin::kNoMemory, Sin::kStranger, Sin::kTaken, Sin::kReachable}) {
    World world(1);
    Told told;
    auto mesh = world.open(0, told.events());
    const RawPeer peer(world);
    ASSERT_TRUE(told.wait_for([&] { return told.connected == 1; }));
    MESH_OK(mesh->enter(Epoch{1}, {world.peers[0], {worker(5), ""}}, kGenerous));
    const std::uint64_t seal = fresh_word();  // until rank 0 has looked
    if (sin != Sin::kStranger) peer.introduce();
    if (sin == Sin::kTaken || sin == Sin::kReachable) {
      peer.control.write(RawPeer::bytes_of({sin == Sin::kTaken ? FrameType::kTaken : FrameType::kReachable}));
    } else {
      peer.offer(1, {reinterpret_cast<const std::byte*>(8), kBytes}, seal, seal);
    }
    EXPECT_EQ(mesh->wait_message(mesh->receive_message(Rank{1}, Tag{1})).error().code, Code::kPeerLost);
    EXPECT_EQ(mesh->counters().refused, 1u);
  }
}

}  // namespace
}  // namespace regroup::mesh::test
