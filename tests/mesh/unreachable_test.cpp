// A participant that cannot be connected to while an epoch is entered is named.
#include "tests/mesh/world.hpp"

#include <sys/prctl.h>

namespace regroup::mesh::test {
namespace {

struct Entering : World {
  explicit Entering(int n) : World(n) {}
  void open_ours() { mesh = open(0, told.events()); }
  // How often `i` was called unreachable; nothing else may have been said.
  int unreachable(int i) {
    const std::lock_guard lock(told.mutex);
    EXPECT_EQ(told.count(Evidence::kUnreachable), static_cast<int>(told.lost.size()));
    return static_cast<int>(std::count(told.lost.begin(), told.lost.end(),
                                       std::pair<WorkerId, Evidence>{worker(i), Evidence::kUnreachable}));
  }
  bool told_unreachable(int times) {
    return told.wait_for([&] { return told.count(Evidence::kUnreachable) >= times; });
  }

  Told told;
  std::unique_ptr<Mesh> mesh;
};

TEST(MeshUnreachable, a_peer_not_met_in_five_beats_is_named_once_and_enter_goes_on) {
  Entering world(2);
  world.open_ours();
  world.peers[1].address.clear();  // it must dial us, and does so late
  std::thread entering([&] { MESH_OK(world.mesh->enter(Epoch{1}, world.peers, kGenerous)); });
  EXPECT_TRUE(world.told_unreachable(1));
  std::this_thread::sleep_for(7 * world.heartbeat);  // shows that it is not said again
  EXPECT_EQ(world.unreachable(1), 1);
  world.peers[1].address = "unix:" + world.dir.file("1");
  const auto late = world.open(1);
  late->warm(world.peers);
  entering.join();
  const std::lock_guard lock(world.told.mutex);
  EXPECT_EQ(world.told.story, (std::vector<std::string>{"unreachable", "connected"}));
}

TEST(MeshUnreachable, a_peer_that_is_stopped_is_named_before_enter_ends_and_met_when_it_wakes) {
  Entering world(2);
  Signal listens, go;
  Child child([&] {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const auto mesh = world.open(1);
    listens.tell();
    go.await();  // it is stopped here
    return mesh->enter(Epoch{2}, world.peers, kGenerous) && barrier(*mesh, all_ranks(2), Tag{0}) ? 0 : 1;
  });
  world.open_ours();
  listens.await();
  child.signal(SIGSTOP);
  const auto entered = world.mesh->enter(Epoch{1}, world.peers, 10 * world.heartbeat);
  ASSERT_FALSE(entered);
  EXPECT_EQ(entered.error().code, Code::kTimeout);
  EXPECT_NE(entered.error().context.find(to_string(worker(1))), std::string::npos) << entered.error().context;
  EXPECT_EQ(world.unreachable(1), 1);
  child.signal(SIGCONT);
  go.tell();
  MESH_OK(world.mesh->enter(Epoch{2}, world.peers, kGenerous));
  MESH_OK(barrier(*world.mesh, all_ranks(2), Tag{0}));
  EXPECT_EQ(child.wait(), 0);
}

TEST(MeshUnreachable, one_that_refuses_is_named_at_once_and_the_others_still_when_their_time_comes) {
  Entering world(3);  // nobody listens at the address of rank 2
  world.open_ours();
  world.peers[1].address.clear();
  const auto entered = world.mesh->enter(Epoch{1}, world.peers, kGenerous);
  ASSERT_FALSE(entered);
  EXPECT_EQ(entered.error().code, Code::kPeerLost);
  EXPECT_EQ(world.unreachable(2), 1);
  EXPECT_TRUE(world.told_unreachable(2));
  EXPECT_EQ(world.unreachable(1), 1);
}

TEST(MeshUnreachable, nobody_is_named_for_an_epoch_that_is_over) {
  Entering world(2);
  world.open_ours();
  world.peers[1].address.clear();
  EXPECT_FALSE(world.mesh->enter(Epoch{1}, world.peers, 10ms));
  world.mesh->announce(Epoch{2});
  std::this_thread::sleep_for(7 * world.heartbeat);  // shows that nothing happens
  EXPECT_EQ(world.unreachable(1), 0);
}

}  // namespace
}  // namespace regroup::mesh::test
