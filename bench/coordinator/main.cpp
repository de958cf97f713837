// bench-coordinator [--json] [--nodes N] [--rounds N]: what a coordinator's core costs while nothing happens.
//
// One job trains on N nodes, beside 0, 100 or 1,000 jobs that have finished. `tick`: one tick, of which there are 20 a
// second. `progress`: the records that all nodes write in a second, one event each, as a share of a core. Median, least
// and most, of the CPU time of the one thread that does it.
#include "bench/command_line.hpp"
#include "bench/thread_clock.hpp"
#include "coordinator/core/coordinator.hpp"
#include "tests/coordinator/fake_etcd.hpp"
#include "tests/support/tiny_job.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace regroup::bench {
namespace {

using namespace coordinator;

JobSpec job_named(const std::string& name, int nodes) {
  JobSpec job = testing::tiny_job();
  job.name = name;
  job.steps = 100'000;
  job.microbatches = job.chains = 1024;
  job.elastic.max_groups = std::max(1, nodes / 8);
  return job;
}

std::string node_name(int i) { return "node-" + std::to_string(i); }

// The leading coordinator, and an etcd that answers at once.
class World {
 public:
  World(int nodes, int finished_jobs) : nodes_(nodes) {
    for (int i = 0; i < finished_jobs; ++i) finish("old-" + std::to_string(i));
    etcd_.put(leader_, "c");
    feed({StoreUpdate{etcd_.everything()}});
    seen_ = etcd_.log.size();
    feed({LeadershipGained{leader_, etcd_.get(leader_)->create_revision}});
    etcd_.put(keys_.spec("job"), to_json(job_named("job", nodes)));
    for (const WorkerState state : {WorkerState::kStarting, WorkerState::kReady, WorkerState::kTraining}) {
      for (int i = 0; i < nodes; ++i) put_node(i, state);
      settle();
    }
    for (int i = 0; i < nodes; ++i) put_progress(i, 1);
    settle();
    if (epoch_ != Epoch(1)) std::exit((std::fprintf(stderr, "bench-coordinator: the job does not train\n"), 1));
  }

  double tick_ms() {
    now_.at += Span{50};
    return feed_ms(Tick{});
  }

  double progress_ms() {
    ++step_;
    double all = 0;
    for (int i = 0; i < nodes_; ++i) {
      put_progress(i, step_);
      all += feed_ms(StoreUpdate{news()});
    }
    return all;
  }

 private:
  double feed_ms(Event event) {
    const double start = cpu_ms();
    feed({std::move(event)});
    return cpu_ms() - start;
  }

  void feed(const std::vector<Event>& events) {
    for (Action& action : core_.step(now_, events)) {
      if (const auto* scan = std::get_if<ScanCheckpoints>(&action)) {
        feed({CheckpointsScanned{scan->job, {}, ""}});
        continue;
      }
      const Write& write = std::get<Write>(action);
      const bool done = etcd_.txn(write.when, write.then);
      if (done && write.plan) epoch_ = write.plan->epoch;
      feed({WriteFinished{write.id, done ? WriteOutcome::kDone : WriteOutcome::kRefused, etcd_.revision}});
    }
  }

  WatchUpdate news() {
    WatchUpdate update{
        false, true, etcd_.revision, {etcd_.log.begin() + static_cast<std::ptrdiff_t>(seen_), etcd_.log.end()}};
    seen_ = etcd_.log.size();
    return update;
  }

  void settle() {
    for (int i = 0; i < 100; ++i) {
      if (seen_ != etcd_.log.size()) feed({StoreUpdate{news()}});
      now_.at += Span{50};
      feed({EtcdContact{}, Tick{}});
    }
  }

  void put_node(int i, WorkerState state) {
    NodeRecord record;
    record.node = NodeId(node_name(i));
    record.incarnation = 1;
    record.agent_address = "tcp:10.0.0.1:4000";
    record.workers = {{WorkerId{record.node, 1, 0, 0}, "job", "tcp:10.0.0.1:5000", state, epoch_, "same", ""}};
    etcd_.put(keys_.node(record.node), to_json(record), i + 1);
  }

  void put_progress(int i, std::int64_t step) {
    etcd_.put(keys_.progress("job", NodeId(node_name(i))),
              to_json(ProgressRecord{epoch_, Step(step), 1.0, 1.0, now_.wall_ms, ProgressState::kTraining, "", ""}));
  }

  void finish(const std::string& name) {
    etcd_.put(keys_.spec(name), to_json(job_named(name, 8)));
    etcd_.put(keys_.born(name), to_json(BornRecord{Epoch(1)}));
    for (int i = 0; i < 8; ++i)
      etcd_.put(keys_.progress(name, NodeId(node_name(i))),
                to_json(ProgressRecord{Epoch(1), Step(100), 1.0, 1.0, 0, ProgressState::kFinished, "", "digest"}));
    etcd_.put(keys_.outcome(name),
              to_json(JobOutcome{JobState::kFinished, "all 100 steps are committed", Step(100), "digest"}));
  }

  const int nodes_;
  const Keys keys_{"c"};
  const std::string leader_ = keys_.leader() + "/0";
  coordinator::test::FakeEtcd etcd_;
  std::size_t seen_ = 0;  // of its log
  Now now_{Instant{} + std::chrono::hours(1), 1'000'000};
  Coordinator core_{"c", "bench"};
  Epoch epoch_;
  std::int64_t step_ = 1;
};

nlohmann::ordered_json summary(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {{"median", values[values.size() / 2]}, {"least", values.front()}, {"most", values.back()}};
}

std::string text_of(const nlohmann::ordered_json& figures) {
  char text[64];
  std::snprintf(text, sizeof text, "%.3f (%.3f-%.3f)", figures["median"].get<double>(), figures["least"].get<double>(),
                figures["most"].get<double>());
  return text;
}

int run(int nodes, int rounds, bool json) {
  nlohmann::ordered_json out = {{"nodes", nodes}, {"rounds", rounds}, {"cases", nlohmann::ordered_json::array()}};
  if (!json)
    std::printf("%d nodes; ms of CPU: median (least-most) of %d rounds\n%14s %28s %28s %18s\n", nodes, rounds,
                "finished jobs", "tick", "progress of a second", "share of a core");
  for (const int finished_jobs : {0, 100, 1000}) {
    World world(nodes, finished_jobs);
    std::vector<double> ticks, progress;
    for (int round = 0; round < rounds; ++round) {
      progress.push_back(world.progress_ms());
      ticks.push_back(world.tick_ms());
    }
    const auto tick = summary(ticks), second = summary(progress);
    const double share = (20 * tick["median"].get<double>() + second["median"].get<double>()) / 1000;
    out["cases"].push_back(
        {{"finished_jobs", finished_jobs}, {"tick_ms", tick}, {"progress_ms", second}, {"share", share}});
    if (!json)
      std::printf("%14d %28s %28s %17.1f%%\n", finished_jobs, text_of(tick).c_str(), text_of(second).c_str(),
                  100 * share);
  }
  if (json) std::printf("%s\n", out.dump(2).c_str());
  return 0;
}

}  // namespace
}  // namespace regroup::bench

int main(int argc, char** argv) {
  bool json = false;
  int nodes = 16, rounds = 50;
  CLI::App app{"What a coordinator costs while nothing happens, beside jobs that have finished."};
  regroup::bench::add_json(app, json);
  regroup::bench::add_count(app, "--nodes", nodes, "on which a job trains");
  regroup::bench::add_count(app, "--rounds", rounds, "of each case");
  if (const auto ended = regroup::bench::status_of(app, argc, argv)) return *ended;
  return regroup::bench::run(nodes, rounds, json);
}
