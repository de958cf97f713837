// A lane that is not read because more has come than may be kept: it is read again, and hides nobody's death.
#include "base/now.hpp"
#include "tests/mesh/world.hpp"

#include <sys/prctl.h>
#include <unistd.h>

#include <random>

namespace regroup::mesh::test {
namespace {

constexpr std::size_t kRoom = 32 * 1024, kTooMuch = 40 * 1024;

struct LittleRoom : World {
  explicit LittleRoom(int n) : World(n) { max_unmatched_bytes = kRoom; }
};

// Every receive is posted a moment after the first bytes of its message were read, when it is found too large to keep.
TEST(MeshPause, a_receive_posted_while_its_lane_is_being_paused_is_finished) {
  LittleRoom world(2);
  const std::unique_ptr<Mesh> sender = world.open(0), receiver = world.open(1);
  std::thread entering([&] { MESH_OK(sender->enter(Epoch{1}, world.peers, kGenerous)); });
  MESH_OK(receiver->enter(Epoch{1}, world.peers, kGenerous));
  entering.join();
  std::mt19937 random(1);
  const auto out = pattern(kTooMuch, 1);
  std::vector<std::byte> in(kTooMuch);
  std::uint64_t round = 0;
  for (const auto end = Clock::now() + 8s; Clock::now() < end;) {
    ++round;
    const auto before = receiver->counters().bytes_received;
    // of another mesh of this process, but the main thread's half has no thread of its own
    const auto send = sender->send(Rank{1}, Tag{round}, out);
    while (receiver->counters().bytes_received == before) {
    }
    for (const auto until = Clock::now() + std::chrono::nanoseconds(random() % 3'000); Clock::now() < until;) {
    }
    const auto receive = receiver->receive(Rank{0}, Tag{round}, in);
    const auto deadline = Clock::now() + 10s;
    while (!receiver->ready(receive) && Clock::now() < deadline) std::this_thread::yield();
    ASSERT_TRUE(receiver->ready(receive)) << "round " << round << " is not finished 10 s after it was posted";
    MESH_OK(sender->wait(send));
  }
  EXPECT_TRUE(in == out);
  std::printf("%llu rounds\n", static_cast<unsigned long long>(round));
}

TEST(MeshPause, a_peer_that_is_stopped_behind_a_paused_lane_is_silent_and_stays_so) {
  LittleRoom world(2);
  Child child([&] {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    auto mesh = world.open(1);
    if (!meet(*mesh, world) || !mesh->enter(Epoch{1}, world.peers, kGenerous)) return 1;
    const std::vector<std::byte> out(8 << 20);
    (void)mesh->wait(mesh->send(Rank{0}, Tag{1}, out));  // nobody takes it
    ::pause();
    return 0;
  });
  Told told;
  const auto mesh = world.open(0, told.events());
  ASSERT_TRUE(meet(*mesh, world));
  MESH_OK(mesh->enter(Epoch{1}, world.peers, kGenerous));
  // The lane is paused: what is read while the peer lives is its beats.
  std::this_thread::sleep_for(2 * world.heartbeat);
  child.signal(SIGSTOP);
  ASSERT_TRUE(told.wait_for([&] { return told.count(Evidence::kSilence) == 1; }, 20s));
  // What lay in the paused lane is dropped now; that it is read is no sign of life. Twice the limit.
  std::this_thread::sleep_for(10 * world.heartbeat);
  const std::lock_guard lock(told.mutex);
  EXPECT_EQ(told.lost.size(), 1u);
  EXPECT_EQ(told.connected, 1);
}

// The answers without which a send does not end, and the beats, stand behind them.
TEST(MeshPause, small_messages_are_kept_though_there_is_no_room) {
  LittleRoom world(2);
  world.run([&](Mesh& mesh, int rank) {
    MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
    MESH_OK(barrier(mesh, all_ranks(2), Tag{0}));
    const auto votes = pattern(10'000, 1), weights = pattern(8 << 20, 2);
    std::vector<std::byte> in(weights.size());
    if (rank == 0) {
      for (std::uint64_t i = 0; i < 20; ++i) MESH_OK(mesh.wait(mesh.send(Rank{1}, Tag{10 + i}, votes, Lane::kControl)));
      MESH_OK(mesh.wait(mesh.receive(Rank{1}, Tag{1}, in)));
    } else {
      MESH_OK(mesh.wait(mesh.send(Rank{0}, Tag{1}, weights)));
      for (std::uint64_t i = 0; i < 20; ++i) {
        const auto vote = mesh.wait_message(mesh.receive_message(Rank{0}, Tag{10 + i}));
        MESH_OK(vote);
        EXPECT_TRUE(*vote == votes);
      }
    }
    MESH_OK(barrier(mesh, all_ranks(2), Tag{40}));
  });
}

}  // namespace
}  // namespace regroup::mesh::test
