// Epochs: a newer one wakes every waiter and leaves the connections as they are; stale frames are dropped, early ones
// kept.
#include "base/now.hpp"
#include "tests/mesh/world.hpp"

#include <random>

namespace regroup::mesh::test {
namespace {

// Lets threads take turns: step(n) returns when n was reached.
class Turns {
 public:
  void reach(int n) {
    now_ = n;
    now_.notify_all();
  }
  void await(int n) {
    for (int seen = now_; seen < n; seen = now_) now_.wait(seen);
  }

 private:
  std::atomic<int> now_{0};
};

TEST(MeshEpoch, announce_wakes_a_waiter_and_later_operations_return_at_once) {
  World world(2);
  world.run([&](Mesh& mesh, int rank) {
    MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
    if (rank == 0) {
      std::vector<std::byte> in(100);
      const auto receive = mesh.receive(Rank{1}, Tag{1}, in);
      std::thread other([&] { mesh.announce(Epoch{2}); });
      const auto result = mesh.wait(receive);
      other.join();
      ASSERT_FALSE(result);
      EXPECT_EQ(result.error().code, Code::kNewerEpoch);
      EXPECT_EQ(mesh.wait(mesh.receive(Rank{1}, Tag{2}, in)).error().code, Code::kNewerEpoch);
      EXPECT_EQ(mesh.wait(mesh.send(Rank{1}, Tag{2}, in)).error().code, Code::kNewerEpoch);
      EXPECT_EQ(mesh.enter(Epoch{1}, world.peers, kGenerous).error().code, Code::kNewerEpoch);
      EXPECT_TRUE(mesh.connected(worker(1)));
    }
    MESH_OK(mesh.enter(Epoch{2}, world.peers, kGenerous));
    MESH_OK(barrier(mesh, all_ranks(2), Tag{1}));
  });
}

TEST(MeshEpoch, early_frames_are_kept_until_their_epoch_is_entered_and_ranks_change_meaning) {
  World world(2);
  Turns turns;
  const std::vector<Peer> swapped = {world.peers[1], world.peers[0]};
  world.run([&](Mesh& mesh, int i) {
    MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
    MESH_OK(barrier(mesh, all_ranks(2), Tag{0}));
    if (i == 0) {
      MESH_OK(mesh.enter(Epoch{2}, swapped, kGenerous));
      EXPECT_EQ(mesh.self(), Rank{1});
      const auto small = pattern(10, 1), large = pattern(500'000, 2);
      MESH_OK(mesh.wait(mesh.send(Rank{0}, Tag{0}, small)));
      MESH_OK(mesh.wait(mesh.send(Rank{0}, Tag{1}, large)));
      turns.reach(1);
      MESH_OK(barrier(mesh, all_ranks(2), Tag{2}));
    } else {
      turns.await(1);
      EXPECT_EQ(mesh.epoch(), Epoch{1});
      MESH_OK(mesh.enter(Epoch{2}, swapped, kGenerous));
      EXPECT_EQ(mesh.self(), Rank{0});
      std::vector<std::byte> in(500'000);
      MESH_OK(mesh.wait(mesh.receive(Rank{1}, Tag{1}, in)));
      EXPECT_TRUE(in == pattern(500'000, 2));
      const auto message = mesh.wait_message(mesh.receive_message(Rank{1}, Tag{0}));
      MESH_OK(message);
      EXPECT_EQ(*message, pattern(10, 1));
      MESH_OK(barrier(mesh, all_ranks(2), Tag{2}));
    }
  });
}

TEST(MeshEpoch, stale_frames_are_dropped_and_counted) {
  World world(2);
  Turns turns;
  world.run([&](Mesh& mesh, int i) {
    MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
    if (i == 0) {
      turns.await(1);
      const auto bytes = pattern(100, 1);
      MESH_OK(mesh.wait(mesh.send(Rank{1}, Tag{1}, bytes)));
    } else {
      MESH_OK(mesh.enter(Epoch{2}, world.peers, kGenerous));
      turns.reach(1);
    }
    if (i == 0) {
      MESH_OK(mesh.enter(Epoch{2}, world.peers, kGenerous));
      const auto bytes = pattern(100, 2);
      MESH_OK(mesh.wait(mesh.send(Rank{1}, Tag{1}, bytes)));
    } else {
      const auto message = mesh.wait_message(mesh.receive_message(Rank{0}, Tag{1}));
      MESH_OK(message);
      EXPECT_EQ(*message, pattern(100, 2));
      EXPECT_EQ(mesh.counters().stale_dropped, 1u);
    }
  });
}

TEST(MeshEpoch, one_who_takes_no_part_stays_connected_and_its_frames_are_refused) {
  World world(3);
  Turns turns;
  const std::vector<Peer> two(world.peers.begin(), world.peers.begin() + 2);
  world.run([&](Mesh& mesh, int i) {
    MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
    MESH_OK(barrier(mesh, all_ranks(3), Tag{0}));
    if (i == 2) {  // has it wrong: believes that all three are in epoch 2
      MESH_OK(mesh.enter(Epoch{2}, world.peers, kGenerous));
      const auto bytes = pattern(100, 1);
      MESH_OK(mesh.wait(mesh.send(Rank{0}, Tag{7}, bytes)));
      turns.await(1);
    } else {
      MESH_OK(mesh.enter(Epoch{2}, two, kGenerous));
      MESH_OK(barrier(mesh, all_ranks(2), Tag{0}));
      EXPECT_TRUE(mesh.connected(worker(2)));
      turns.reach(1);
    }
    MESH_OK(mesh.enter(Epoch{3}, world.peers, kGenerous));
    MESH_OK(barrier(mesh, all_ranks(3), Tag{0}));
  });
}

TEST(MeshEpoch, small_messages_that_were_sent_arrive_although_their_sender_goes_on_to_the_next_epoch) {
  World world(2);
  world.run([&](Mesh& mesh, int rank) {
    for (std::uint64_t epoch = 1; epoch <= 200; ++epoch) {
      MESH_OK(mesh.enter(Epoch{epoch}, world.peers, kGenerous));
      const auto vote = pattern(3000, epoch);
      MESH_OK(mesh.wait(mesh.send(Rank{1 - rank}, Tag{1}, vote, Lane::kControl)));
      const auto theirs = mesh.wait_message(mesh.receive_message(Rank{1 - rank}, Tag{1}));
      MESH_OK(theirs);
      EXPECT_TRUE(*theirs == vote);
    }
  });
}

// The heart of a regroup: aborts at any moment of bulk in flight, and the same connections carry the next epoch's bytes
// intact, while nobody touches the buffers.
TEST(MeshEpoch, two_hundred_aborts_in_the_middle_of_bulk_leave_the_next_epoch_intact) {
  constexpr int kRounds = 200, kRanks = 3;
  constexpr std::size_t kBytes = 3'000'000;
  World world(kRanks);
  std::atomic<int> cut{0}, whole{0};
  world.run([&](Mesh& mesh, int rank) {
    std::mt19937 random(static_cast<unsigned>(rank) + 1);
    std::vector<std::vector<std::byte>> out(kRanks), in(kRanks);
    for (int round = 0; round < kRounds; ++round) {
      const auto epoch = static_cast<std::uint64_t>(round) + 1;
      MESH_OK(mesh.enter(Epoch{epoch}, world.peers, kGenerous));
      const bool abort = round % 4 != 3;
      const auto seed = [&](int from, int to) { return epoch * 100 + static_cast<std::uint64_t>(from * 10 + to); };
      std::vector<TransferPtr> transfers;
      for (int peer = 0; peer < kRanks; ++peer) {
        if (peer == rank) continue;
        out[static_cast<std::size_t>(peer)] = pattern(kBytes, seed(rank, peer));
        in[static_cast<std::size_t>(peer)].assign(kBytes, std::byte{0});
        transfers.push_back(mesh.receive(Rank{peer}, Tag{1}, in[static_cast<std::size_t>(peer)]));
        transfers.push_back(mesh.send(Rank{peer}, Tag{1}, out[static_cast<std::size_t>(peer)]));
      }
      if (abort) {
        for (auto until = Clock::now() + std::chrono::microseconds(random() % 3000); Clock::now() < until;) {
        }
        mesh.announce(Epoch{epoch + 1});
      }
      for (const auto& transfer : transfers) {
        const auto result = mesh.wait(transfer);
        if (!result) {
          ASSERT_TRUE(abort) << to_string(result.error());
          ASSERT_EQ(result.error().code, Code::kNewerEpoch);
          ++cut;
        }
      }
      if (abort) {  // the buffers are ours again: nothing may change or leak what we write now
        for (std::size_t i = 0; i < transfers.size(); i += 2) {
          const int peer = static_cast<int>(i) / 2 + (static_cast<int>(i) / 2 >= rank ? 1 : 0);
          if (!mesh.wait(transfers[i])) continue;
          ASSERT_TRUE(in[static_cast<std::size_t>(peer)] == pattern(kBytes, seed(peer, rank)))
              << "came although its sender had given up and written over it, round " << round;
          ++whole;
        }
        for (auto& buffer : in) std::fill(buffer.begin(), buffer.end(), std::byte{0xee});
        for (auto& buffer : out) std::fill(buffer.begin(), buffer.end(), std::byte{0xdd});
        std::this_thread::yield();
        for (auto& buffer : in)
          ASSERT_TRUE(std::all_of(buffer.begin(), buffer.end(), [](std::byte b) { return b == std::byte{0xee}; }));
      } else {
        for (int peer = 0; peer < kRanks; ++peer) {
          if (peer == rank) continue;
          ASSERT_TRUE(in[static_cast<std::size_t>(peer)] == pattern(kBytes, seed(peer, rank))) << "round " << round;
        }
        MESH_OK(barrier(mesh, all_ranks(kRanks), Tag{2}));
      }
    }
  });
  EXPECT_GT(cut, kRounds / 2);  // else the test aborted nothing
  EXPECT_GT(whole, 0);          // else it looked at none that came beside an abort
}

TEST(MeshEpoch, a_message_longer_than_its_buffer_and_a_tag_used_twice_are_errors_of_that_receive_alone) {
  World world(2);
  world.run([&](Mesh& mesh, int rank) {
    MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
    const auto bytes = pattern(300'000, 1);
    if (rank == 0) {
      MESH_OK(mesh.wait(mesh.send(Rank{1}, Tag{1}, bytes)));
      MESH_OK(mesh.wait(mesh.send(Rank{1}, Tag{2}, bytes)));
    } else {
      std::vector<std::byte> small(100), large(300'000);
      const auto first = mesh.receive(Rank{0}, Tag{1}, small);
      EXPECT_EQ(mesh.wait(first).error().code, Code::kBadInput);
      MESH_OK(mesh.wait(mesh.receive(Rank{0}, Tag{2}, large)));
      EXPECT_TRUE(large == bytes);
      const auto one = mesh.receive(Rank{0}, Tag{3}, small);
      EXPECT_EQ(mesh.wait(mesh.receive(Rank{0}, Tag{3}, small)).error().code, Code::kBadInput);
    }
    MESH_OK(barrier(mesh, all_ranks(2), Tag{4}));
  });
}

TEST(MeshEpoch, a_message_above_the_limit_fails_where_it_is_sent_and_names_both_sizes) {
  World world(2);
  world.max_message_bytes = 300'000;
  world.run([&](Mesh& mesh, int rank) {
    MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
    const auto bytes = pattern(300'001, 1);
    const auto all = std::span(bytes), most = all.first(300'000);
    if (rank == 0) {
      const auto refused = mesh.wait(mesh.send(Rank{1}, Tag{1}, all));
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, Code::kBadInput);
      EXPECT_NE(refused.error().context.find("300001"), std::string::npos) << refused.error().context;
      EXPECT_NE(refused.error().context.find("300000"), std::string::npos) << refused.error().context;
      MESH_OK(mesh.wait(mesh.send(Rank{1}, Tag{2}, most)));
    } else {
      std::vector<std::byte> in(most.size());
      MESH_OK(mesh.wait(mesh.receive(Rank{0}, Tag{2}, in)));
      EXPECT_TRUE(std::equal(in.begin(), in.end(), most.begin()));
    }
    MESH_OK(barrier(mesh, all_ranks(2), Tag{3}));
  });
}

TEST(MeshEpoch, more_than_may_be_kept_waits_in_the_sender_until_it_is_taken) {
  World world(2);
  constexpr int kMessages = 40;
  constexpr std::size_t kBytes = 500'000;
  std::vector<std::unique_ptr<Mesh>> meshes;
  for (int i = 0; i < 2; ++i) {
    auto options = world.options(i);
    options.max_unmatched_bytes = 4 * kBytes;
    auto mesh = Mesh::open(options, {});
    MESH_OK(mesh);
    meshes.push_back(std::move(*mesh));
  }
  Turns turns;
  std::thread sender([&] {
    Mesh& mesh = *meshes[0];
    MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
    std::vector<std::vector<std::byte>> out;
    std::vector<TransferPtr> sends;
    for (int i = 0; i < kMessages; ++i) out.push_back(pattern(kBytes, static_cast<std::uint64_t>(i)));
    for (int i = 0; i < kMessages; ++i)
      sends.push_back(mesh.send(Rank{1}, Tag{static_cast<std::uint64_t>(i)}, out[static_cast<std::size_t>(i)]));
    MESH_OK(mesh.wait(sends[0]));
    const auto last = mesh.receive_message(Rank{1}, Tag{1000});
    turns.reach(1);
    for (const auto& send : sends) MESH_OK(mesh.wait(send));
    MESH_OK(mesh.wait_message(last));
  });
  Mesh& mesh = *meshes[1];
  MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
  turns.await(1);
  EXPECT_LE(mesh.counters().bytes_received, 6 * kBytes);
  for (int i = 0; i < kMessages; ++i) {
    std::vector<std::byte> in(kBytes);
    MESH_OK(mesh.wait(mesh.receive(Rank{0}, Tag{static_cast<std::uint64_t>(i)}, in)));
    EXPECT_TRUE(in == pattern(kBytes, static_cast<std::uint64_t>(i)));
  }
  MESH_OK(mesh.wait(mesh.send(Rank{0}, Tag{1000}, {})));
  sender.join();
}

}  // namespace
}  // namespace regroup::mesh::test
