// Ranks as threads: whatever is exchanged arrives whole, in any size, order and number of ranks.
#include "tests/mesh/world.hpp"

#include <algorithm>
#include <random>

namespace regroup::mesh::test {
namespace {

TEST(MeshExchange, two_ranks_pass_a_small_message_each_way) {
  World world(2);
  world.run([&](Mesh& mesh, int rank) {
    MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
    EXPECT_EQ(mesh.self(), Rank{rank});
    EXPECT_EQ(mesh.size(), 2);
    const auto mine = pattern(64, static_cast<std::uint64_t>(rank));
    std::vector<std::byte> theirs(64);
    const auto receive = mesh.receive(Rank{1 - rank}, Tag{5}, theirs);
    MESH_OK(mesh.wait(mesh.send(Rank{1 - rank}, Tag{5}, mine, Lane::kControl)));
    const auto moved = mesh.wait(receive);
    MESH_OK(moved);
    EXPECT_EQ(*moved, 64u);
    EXPECT_EQ(theirs, pattern(64, static_cast<std::uint64_t>(1 - rank)));
  });
}

bool becomes_ready(const Mesh& mesh, const TransferPtr& transfer) {
  const auto deadline = std::chrono::steady_clock::now() + kGenerous;
  while (!mesh.ready(transfer) && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  return mesh.ready(transfer);
}

TEST(MeshExchange, a_receive_is_ready_when_its_message_has_come_or_a_newer_epoch_has) {
  World world(2);
  world.run([&](Mesh& mesh, int rank) {
    MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
    const auto message = pattern(100'000, 1);
    if (rank == 0) {
      MESH_OK(barrier(mesh, all_ranks(2), Tag{1}));
      MESH_OK(mesh.wait(mesh.send(Rank{1}, Tag{2}, message)));
    } else {
      std::vector<std::byte> in(message.size()), never(1);
      const auto receive = mesh.receive(Rank{0}, Tag{2}, in);
      const auto unsent = mesh.receive(Rank{0}, Tag{3}, never);
      EXPECT_FALSE(mesh.ready(receive));  // it is sent after the barrier
      MESH_OK(barrier(mesh, all_ranks(2), Tag{1}));
      EXPECT_TRUE(becomes_ready(mesh, receive));
      MESH_OK(mesh.wait(receive));
      EXPECT_TRUE(in == message);
      EXPECT_FALSE(mesh.ready(unsent));
      mesh.announce(Epoch{2});
      EXPECT_TRUE(becomes_ready(mesh, unsent));
      const auto moved = mesh.wait(unsent);
      ASSERT_FALSE(moved);
      EXPECT_EQ(moved.error().code, Code::kNewerEpoch);
    }
  });
}

TEST(MeshExchange, every_size_from_none_to_100_mb_arrives_whole_on_either_lane_posted_before_or_after) {
  const std::vector<std::size_t> sizes = {0,     1,     47,    48,     49,     4095,   4096,      16383,
                                          16384, 16385, 65536, 262143, 262144, 262145, 1'000'003, 100'000'000};
  World world(2);
  world.run([&](Mesh& mesh, int rank) {
    MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
    std::uint64_t tag = 0;
    for (Lane lane : {Lane::kControl, Lane::kBulk}) {
      for (std::size_t size : sizes) {
        const auto out = pattern(size, tag);
        if (rank == 0) {
          MESH_OK(mesh.wait(mesh.send(Rank{1}, Tag{tag}, out, lane)));
          MESH_OK(mesh.wait(mesh.send(Rank{1}, Tag{tag + 1}, out, lane)));
        } else {
          std::vector<std::byte> in(size + 10);
          const auto moved = mesh.wait(mesh.receive(Rank{0}, Tag{tag}, in));
          MESH_OK(moved);
          in.resize(*moved);
          EXPECT_TRUE(in == out) << size;
          const auto message = mesh.wait_message(mesh.receive_message(Rank{0}, Tag{tag + 1}));
          MESH_OK(message);
          EXPECT_TRUE(*message == out) << size;
        }
        MESH_OK(barrier(mesh, all_ranks(2), Tag{tag + 2}));
        tag += 3;
      }
    }
  });
}

TEST(MeshExchange, receives_posted_in_random_order_get_their_own_messages) {
  World world(3);
  world.run([&](Mesh& mesh, int rank) {
    MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
    std::mt19937 random(static_cast<unsigned>(rank));
    constexpr int kMessages = 300;
    struct Job {
      int peer, index;
      bool send;
    };
    const auto size_of = [](int from, int to, int index) {
      return static_cast<std::size_t>((index * 7919 + from * 31 + to) % 97) *
             static_cast<std::size_t>(index % 5 == 0 ? 3001 : 29);
    };
    std::vector<Job> jobs;
    for (int peer = 0; peer < 3; ++peer) {
      for (int index = 0; index < kMessages && peer != rank; ++index)
        jobs.push_back({peer, index, true}), jobs.push_back({peer, index, false});
    }
    std::shuffle(jobs.begin(), jobs.end(), random);
    std::vector<std::vector<std::byte>> buffers(jobs.size());
    std::vector<TransferPtr> transfers;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const Job& job = jobs[i];
      const Tag tag{static_cast<std::uint64_t>(job.index)};
      const Lane lane = job.index % 3 == 0 ? Lane::kControl : Lane::kBulk;
      if (job.send) {
        buffers[i] = pattern(size_of(rank, job.peer, job.index), static_cast<std::uint64_t>(rank * 100000 + job.index));
        transfers.push_back(mesh.send(Rank{job.peer}, tag, buffers[i], lane));
      } else {
        buffers[i].resize(size_of(job.peer, rank, job.index));
        transfers.push_back(mesh.receive(Rank{job.peer}, tag, buffers[i]));
      }
    }
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const auto moved = mesh.wait(transfers[i]);
      MESH_OK(moved);
      EXPECT_EQ(*moved, buffers[i].size());
      if (!jobs[i].send) {
        EXPECT_TRUE(buffers[i] ==
                    pattern(buffers[i].size(), static_cast<std::uint64_t>(jobs[i].peer * 100000 + jobs[i].index)));
      }
    }
    MESH_OK(barrier(mesh, all_ranks(3), Tag{1u << 20}));
  });
}

void exchange_all(Mesh& mesh, int rank, int n, std::uint64_t base, std::size_t unit) {
  const auto ranks = all_ranks(n);
  const auto gathered = all_gather_v(mesh, ranks, Tag{base},
                                     pattern(static_cast<std::size_t>(rank) * unit, static_cast<std::uint64_t>(rank)));
  MESH_OK(gathered);
  for (int i = 0; i < n; ++i) {
    EXPECT_TRUE((*gathered)[static_cast<std::size_t>(i)] ==
                pattern(static_cast<std::size_t>(i) * unit, static_cast<std::uint64_t>(i)));
  }
  MESH_OK(barrier(mesh, ranks, Tag{base + 2}));
}

TEST(MeshExchange, collectives_among_1_to_7_ranks) {
  for (int n = 1; n <= 7; ++n) {
    World world(n);
    world.run([&](Mesh& mesh, int rank) {
      MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
      for (std::uint64_t round = 0; round < 5; ++round)
        exchange_all(mesh, rank, n, round * 10, round % 2 == 0 ? 17 : 40'000);
    });
  }
}

TEST(MeshExchange, groups_exchange_beside_each_other) {
  World world(5);
  world.run([&](Mesh& mesh, int rank) {
    MESH_OK(mesh.enter(Epoch{1}, world.peers, kGenerous));
    const std::vector<Rank> group =
        rank < 3 ? std::vector<Rank>{Rank{0}, Rank{1}, Rank{2}} : std::vector<Rank>{Rank{3}, Rank{4}};
    for (std::uint64_t i = 0; i < 50; ++i) {
      const auto all = all_gather_v(mesh, group, Tag{i}, pattern(100, static_cast<std::uint64_t>(rank)));
      MESH_OK(all);
      for (std::size_t k = 0; k < group.size(); ++k)
        EXPECT_EQ((*all)[k], pattern(100, static_cast<std::uint64_t>(group[k].value)));
    }
  });
}

TEST(MeshExchange, sixty_four_ranks_in_one_process) {
  World world(64);
  world.heartbeat = 2000ms;  // 64 I/O threads on few cores
  world.run([&](Mesh& mesh, int rank) {
    MESH_OK(mesh.enter(Epoch{1}, world.peers, 2 * kGenerous));
    exchange_all(mesh, rank, 64, 0, 100);
    MESH_OK(mesh.enter(Epoch{2}, world.peers, kGenerous));
    exchange_all(mesh, rank, 64, 0, 100);
  });
}

TEST(MeshExchange, over_tcp_with_addresses_learned_from_the_meshes) {
  constexpr int kRanks = 3;
  std::vector<std::unique_ptr<Mesh>> meshes;
  std::vector<Peer> peers;
  for (int i = 0; i < kRanks; ++i) {
    Options options;
    options.self = worker(i);
    options.listen = "tcp:127.0.0.1:0";
    options.secret = "s";
    options.read_peer_memory = false;  // every byte through TCP
    auto mesh = Mesh::open(options, {});
    MESH_OK(mesh);
    peers.push_back({worker(i), (*mesh)->address()});
    meshes.push_back(std::move(*mesh));
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < kRanks; ++i) {
    threads.emplace_back([&, i] {
      MESH_OK(meshes[static_cast<std::size_t>(i)]->enter(Epoch{1}, peers, kGenerous));
      exchange_all(*meshes[static_cast<std::size_t>(i)], i, kRanks, 0, 300'000);
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace regroup::mesh::test
