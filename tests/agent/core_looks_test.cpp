#include "tests/agent/core_world.hpp"

#include <functional>

namespace regroup::agent {
namespace {

// What was done: which kind of action, when (ms since the start).
struct Done {
  std::size_t kind;
  std::int64_t at_ms;
};

struct Scripted {
  std::int64_t at_ms;
  std::function<Event(const World&)> event;
};

// Everything that waits for time alone: a start after failures, a snapshot that no buddy has, progress written at most
// so often, a worker that does not stop when asked.
std::vector<Scripted> script() {
  const auto worker = [](const World& w) { return w.core().slots().front().worker.id; };
  const auto committed = [=](std::uint64_t step) {
    return [=](const World& w) -> Event {
      CommitReport report;
      report.epoch = Epoch(1);
      report.step = Step(static_cast<std::int64_t>(step));
      return WorkerSays{worker(w), Committed{report}};
    };
  };
  const auto ended = [=](const World& w) -> Event { return WorkerEnded{worker(w), 9, 0}; };
  const auto ready = [=](const World& w) -> Event {
    return WorkerSays{worker(w), StateChanged{WorkerState::kReady, Epoch(0), ""}};
  };
  return {
      {0, [](const World&) -> Event { return Assigned{"tiny"}; }},
      {1, [](const World&) -> Event { return JobKnown{testing::tiny_job()}; }},
      {7, ended},
      {1003, ended},
      {3011, ready},
      {3012, committed(1)},
      {3100, committed(2)},
      {3333, committed(3)},
      {3334,
       [=](const World& w) -> Event {
         return WorkerSays{worker(w), SnapshotTaken{}};
       }},
      {3421,
       [=](const World& w) -> Event {
         return SnapshotKept{
             .worker = worker(w), .step = Step(0), .epoch = Epoch(0), .problem = "the buddy does not answer"};
       }},
      {5555, [](const World&) -> Event { return Assigned{""}; }},
      {9000, [](const World&) -> Event { return Assigned{""}; }},
  };
}

// `next`: when the world looks again by itself, after having looked at `now`.
std::vector<Done> play(const std::function<Instant(World&)>& next) {
  World world;
  const Instant start = world.now.at;
  std::vector<Done> done;
  const auto feed_at = [&](Instant at, const std::function<Event(const World&)>& event) {
    world.now.wall_ms += std::chrono::duration_cast<milliseconds>(at - world.now.at).count();
    world.now.at = at;
    world.feed(event(world));
    for (const Action& action : world.actions)
      done.push_back({action.index(), std::chrono::duration_cast<milliseconds>(at - start).count()});
  };
  for (const Scripted& scripted : script()) {
    const Instant at = start + milliseconds(scripted.at_ms);
    for (Instant look = next(world); look < at; look = next(world))
      feed_at(look, [](const World&) -> Event { return Tick{}; });
    feed_at(at, scripted.event);
  }
  return done;
}

TEST(AgentCore, looked_at_only_when_it_says_does_what_it_does_when_looked_at_all_the_time) {
  const auto often = play([](World& w) { return w.now.at + milliseconds(10); });
  int looks = 0;
  const auto said = play([&](World& w) {
    looks += w.core().next_look() < Instant::max() ? 1 : 0;
    return w.core().next_look();
  });
  ASSERT_EQ(said.size(), often.size());
  for (std::size_t i = 0; i < said.size(); ++i) {
    EXPECT_EQ(said[i].kind, often[i].kind) << i;
    EXPECT_LE(said[i].at_ms, often[i].at_ms) << i;
    EXPECT_GE(said[i].at_ms + 10, often[i].at_ms) << i;
  }
  const auto count = [&](const Action& like) {
    return std::count_if(said.begin(), said.end(), [&](const Done& d) { return d.kind == like.index(); });
  };
  EXPECT_EQ(count(StartWorker{}), 3);
  EXPECT_EQ(count(TakeSnapshot{}), 2);
  EXPECT_EQ(count(KillWorker{}), 1);
  EXPECT_LT(looks, 30);
}

}  // namespace
}  // namespace regroup::agent
