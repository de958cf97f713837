// Real processes on hosts of their own (network namespaces), over TCP, whose link is cut: nobody gets an end of file,
// silence alone tells.
#include "base/now.hpp"
#include "tests/mesh/networks.hpp"

namespace regroup::mesh::test {
namespace {

constexpr auto kHeartbeat = 200ms;  // a busy machine must not make a rank silent that is not

// Evidence::kSilence of each rank in `whom` and nothing else.
bool only_silence_of(Told& told, const std::vector<int>& whom) {
  const std::lock_guard lock(told.mutex);
  if (told.lost.size() != whom.size()) return false;
  for (const int rank : whom) {
    const bool said = std::any_of(told.lost.begin(), told.lost.end(), [&](const auto& lost) {
      return lost.first == worker(rank) && lost.second == Evidence::kSilence;
    });
    if (!said) return false;
  }
  return true;
}

TEST(MeshNamespace, a_rank_whose_link_is_cut_is_silent_for_all_and_all_are_silent_for_it) {
  Networks networks(3);
  if (!networks.problem().empty()) GTEST_SKIP() << networks.problem();
  World& world = networks.world;
  world.heartbeat = kHeartbeat;
  Signal first_judged, second_judged, mended, go_on;
  const auto rank = [&](int self, const std::vector<int>& silent, const Signal& judged) {
    return networks.start(self, [&world, &mended, &go_on, &judged, self, silent] {
      Told told;
      auto mesh = world.open(self, told.events());
      if (!mesh || !meet(*mesh, world) || !mesh->enter(Epoch{1}, world.peers, kGenerous) ||
          !barrier(*mesh, all_ranks(3), Tag{0}))
        return 1;
      // the link is cut meanwhile
      const auto lost = mesh->wait_message(mesh->receive_message(Rank{silent.back()}, Tag{1}));
      if (lost || lost.error().code != Code::kPeerLost) return 2;
      if (!told.wait_for([&] { return told.lost.size() >= silent.size(); }) || !only_silence_of(told, silent)) return 3;
      judged.tell();
      mended.await();
      if (!mesh->enter(Epoch{2}, world.peers, kGenerous) || !barrier(*mesh, all_ranks(3), Tag{0})) return 4;
      go_on.await();  // gone before the others are through would look like a death
      return 0;
    });
  };
  const auto near = rank(1, {2}, first_judged);
  const auto cut_off = rank(2, {0, 1}, second_judged);
  Told told;
  auto mesh = world.open(0, told.events());
  ASSERT_TRUE(mesh && meet(*mesh, world));
  MESH_OK(mesh->enter(Epoch{1}, world.peers, kGenerous));
  MESH_OK(barrier(*mesh, all_ranks(3), Tag{0}));
  const auto receive = mesh->receive_message(Rank{2}, Tag{1});
  networks.cut(2);
  const auto cut = Clock::now();
  const auto result = mesh->wait_message(receive);
  const double waited = ms_since(cut);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kPeerLost);
  EXPECT_NE(result.error().context.find(to_string(worker(2))), std::string::npos) << result.error().context;
  std::printf("silence noticed %.0f ms after the cut (h = %lld ms)\n", waited,
              static_cast<long long>(kHeartbeat.count()));
  EXPECT_GE(waited, 700);   // not sooner than the last beat before the cut allows
  EXPECT_LT(waited, 6000);  // 5 h on an idle machine
  ASSERT_TRUE(told.wait_for([&] { return !told.lost.empty(); }));
  first_judged.await();
  second_judged.await();
  EXPECT_TRUE(only_silence_of(told, {2}));

  networks.mend(2);
  // TCP tries again after at most as long as it has tried in vain
  std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(1000 + 2 * ms_since(cut)));
  mended.tell(2);
  MESH_OK(mesh->enter(Epoch{2}, world.peers, kGenerous));
  MESH_OK(barrier(*mesh, all_ranks(3), Tag{0}));
  go_on.tell(2);
  EXPECT_EQ(near->wait(), 0);
  EXPECT_EQ(cut_off->wait(), 0);
}

TEST(MeshNamespace, a_cut_in_the_middle_of_a_message_ends_it_on_both_sides_and_disturbs_nobody_else) {
  Networks networks(3);
  if (!networks.problem().empty()) GTEST_SKIP() << networks.problem();
  World& world = networks.world;
  world.heartbeat = kHeartbeat;
  constexpr std::size_t kBytes = 512u << 20;
  const auto echo = networks.start(1, [&world] {
    auto mesh = world.open(1);
    if (!mesh || !meet(*mesh, world) || !mesh->enter(Epoch{1}, world.peers, kGenerous)) return 1;
    for (std::uint64_t i = 0;; ++i) {
      const auto ping = mesh->wait_message(mesh->receive_message(Rank{0}, Tag{i}));
      if (!ping || !mesh->wait(mesh->send(Rank{0}, Tag{i}, *ping))) return 2;
      if (ping->empty()) return 0;
    }
  });
  const auto sender = networks.start(2, [&world] {
    auto mesh = world.open(2);
    if (!mesh || !meet(*mesh, world) || !mesh->enter(Epoch{1}, world.peers, kGenerous)) return 1;
    const std::vector<std::byte> out(kBytes);
    const auto sent = mesh->wait(mesh->send(Rank{0}, Tag{1}, out));
    return !sent && sent.error().code == Code::kPeerLost ? 0 : 2;
  });
  Told told;
  auto mesh = world.open(0, told.events());
  ASSERT_TRUE(mesh && meet(*mesh, world));
  MESH_OK(mesh->enter(Epoch{1}, world.peers, kGenerous));
  std::vector<std::byte> in(kBytes);
  const auto before = mesh->counters().bytes_received;
  const auto receive = mesh->receive(Rank{2}, Tag{1}, in);
  while (mesh->counters().bytes_received < before + (4u << 20)) std::this_thread::yield();
  networks.cut(2);
  const auto cut = Clock::now();
  std::uint64_t pings = 0;
  const auto ping = [&](const std::vector<std::byte>& out) {
    const auto send = mesh->send(Rank{1}, Tag{pings}, out);
    const auto back = mesh->wait_message(mesh->receive_message(Rank{1}, Tag{pings++}));
    MESH_OK(back);
    ASSERT_TRUE(*back == out);
    MESH_OK(mesh->wait(send));
  };
  for (std::uint64_t i = 0; !told.wait_for([&] { return !told.lost.empty(); }, 1ms) && ms_since(cut) < 10'000; ++i)
    ASSERT_NO_FATAL_FAILURE(ping(pattern(10'000, i)));
  const auto result = mesh->wait(receive);
  ASSERT_FALSE(result) << "512 MB went through before the cut";
  EXPECT_EQ(result.error().code, Code::kPeerLost);
  EXPECT_TRUE(only_silence_of(told, {2}));
  std::printf("transfer ended %.0f ms after the cut, %llu exchanges with the third rank meanwhile\n", ms_since(cut),
              static_cast<unsigned long long>(pings));
  EXPECT_GT(pings, 10u);
  ASSERT_NO_FATAL_FAILURE(ping({}));
  EXPECT_EQ(echo->wait(), 0);
  EXPECT_EQ(sender->wait(), 0);
}

}  // namespace
}  // namespace regroup::mesh::test
