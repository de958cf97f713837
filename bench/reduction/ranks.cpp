#include "bench/reduction/ranks.hpp"

#include "base/now.hpp"
#include "bench/reduction/arrival_order.hpp"
#include "bench/reduction/step.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/step/reduction.hpp"

#include <barrier>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <thread>

namespace regroup::bench {
namespace {

struct Moment {
  std::chrono::steady_clock::time_point wall = std::chrono::steady_clock::now();
  double cpu_ms = [] {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
  }();
};

// All ranks meet before and after each reduction.
class Meeting {
 public:
  explicit Meeting(int ranks) : barrier_(ranks, Note{&moments_}) {}
  void meet() { barrier_.arrive_and_wait(); }
  [[nodiscard]] const std::vector<Moment>& moments() const { return moments_; }

 private:
  struct Note {
    std::vector<Moment>* moments;
    void operator()() noexcept { moments->emplace_back(); }
  };
  std::vector<Moment> moments_;
  std::barrier<Note> barrier_;
};

struct OfRank {
  std::unique_ptr<mesh::Mesh> mesh;
  ShardStore store;
  FloatPool pools[2];
  std::int64_t bytes_moved[2] = {0, 0};
};

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "bench-reduction: %s\n", why.c_str());
  std::_Exit(1);
}

template <class Sums>
void check(const Sums& sums, const OfRank& rank, int microbatches) {
  const auto expected = static_cast<float>(microbatches * (microbatches + 1) / 2);
  for (const auto& [key, shard] : rank.store.all()) {
    const float* gradient = sums.gradient(*shard).sum.data();
    for (std::int64_t i = 0; i < shard->numel(); ++i)
      if (gradient[i] != expected)
        give_up("unit " + std::to_string(shard->unit) + " sums to " + std::to_string(gradient[i]) + " instead of " +
                std::to_string(expected));
  }
}

// All rounds of one rank: at 2 r and 2 r + 1 the two ways of round r.
void run(OfRank& rank, const EpochView& view, int rounds, Meeting& meeting) {
  Reduction fixed(view, *rank.mesh, rank.store, rank.pools[0]);
  ArrivalOrder arrival(view, *rank.mesh, rank.store, rank.pools[1]);
  const auto turn = [&](auto& sums, int which, int number) {
    const bool first = number < 2;
    sums.begin(Step(number + 1));
    const std::uint64_t before = rank.mesh->counters().bytes_received;
    meeting.meet();
    reduce(sums, view, first);
    meeting.meet();
    rank.bytes_moved[which] = static_cast<std::int64_t>(rank.mesh->counters().bytes_received - before);
    if (first) check(sums, rank, view.job->spec.microbatches);
    sums.discard();
  };
  for (int number = 0; number < 2 * rounds; ++number) {
    const int which = (number + number / 2) % 2;
    which == 0 ? turn(fixed, 0, number) : turn(arrival, 1, number);
  }
}

}  // namespace

Compared compare(const JobSpec& job, const Placement& placement, int rounds, const std::string& directory) {
  const JobConstants constants(job);
  Plan plan;
  plan.epoch = Epoch(1);
  plan.job = job.name;
  plan.placement = placement;
  std::vector<OfRank> ranks(static_cast<std::size_t>(placement.num_ranks()));
  std::vector<mesh::Peer> peers;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    mesh::Options options;
    options.self = {NodeId("rank-" + std::to_string(i)), 1, 0, 0};
    options.listen = "unix:" + directory + "/" + std::to_string(i);
    options.secret = "0123456789abcdef";
    options.heartbeat = std::chrono::milliseconds(5000);  // a rank that waits for the meeting is not silent
    auto mesh = mesh::Mesh::open(options, {});
    if (!mesh) give_up(to_string(mesh.error()));
    ranks[i].mesh = std::move(*mesh);
    peers.push_back({options.self, ranks[i].mesh->address()});
    plan.members.push_back({options.self, peers.back().address, {}});
  }
  const int all_rounds = rounds + 1;
  Meeting meeting(static_cast<int>(ranks.size()));
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    threads.emplace_back([&, i] {
      OfRank& rank = ranks[i];
      try {
        must(rank.mesh->enter(plan.epoch, peers, std::chrono::seconds(60)));
        const EpochView view(constants, plan, Rank(static_cast<int>(i)));
        for (const Unit& unit : constants.units)
          for (const Interval& blocks : view.kept(unit.index, view.self).intervals())
            rank.store.add(std::make_shared<Shard>(unit, blocks));
        run(rank, view, all_rounds, meeting);
      } catch (const Interrupted& interrupted) {
        give_up("rank " + std::to_string(i) + ": " + to_string(interrupted.error));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  Compared result;
  for (int number = 2; number < 2 * all_rounds; ++number) {
    const Moment &start = meeting.moments()[static_cast<std::size_t>(2 * number)],
                 &end = meeting.moments()[static_cast<std::size_t>(2 * number + 1)];
    Samples& samples = (number + number / 2) % 2 == 0 ? result.fixed : result.arrival;
    samples.ms.push_back(ms_between(start.wall, end.wall));
    samples.cpu_ms.push_back(end.cpu_ms - start.cpu_ms);
  }
  for (const OfRank& rank : ranks) {
    std::int64_t kept = 0;
    for (const auto& [key, shard] : rank.store.all()) kept += shard->numel() * static_cast<std::int64_t>(sizeof(float));
    result.gradient_bytes = std::max(result.gradient_bytes, kept);
    for (Samples* samples : {&result.fixed, &result.arrival}) {
      const int which = samples == &result.fixed ? 0 : 1;
      samples->bytes_moved += rank.bytes_moved[which];
      samples->buffer_bytes = std::max(samples->buffer_bytes, rank.pools[which].bytes());
    }
  }
  return result;
}

}  // namespace regroup::bench
