// bench-moved: bytes that regroups in one group move, against the fewest that could: real processes on this machine,
// four workers with snapshots at their buddies.
//
//   bench-moved [--json] [--model tiny|small] [--rounds N] [--seed N] [--dir DIR] [--keep]
//
// A round drains a node, takes it back, kills a worker, then a node: seven or eight regroups. What is counted:
// bytes.hpp. Counts, no timings: exit status 1 when a ratio is above 1.05.
#include "bench/command_line.hpp"
#include "bench/moved/bytes.hpp"
#include "bench/recovery/bench_folder.hpp"
#include "bench/recovery/example_job.hpp"
#include "bench/recovery/running_job.hpp"
#include "cli/local/processes.hpp"

#include <nlohmann/json.hpp>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <random>

namespace regroup::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr double kMostRatio = 1.05;
constexpr double kStartSeconds = 120, kSteadySeconds = 60;
constexpr int kStepsBetween = 3;  // by then the snapshots of this layout are at the buddies

struct Options {
  bool json = false, keep = false;
  std::string model = "tiny", dir;
  int rounds = 3;
  std::uint64_t seed = 1;
};

class Rounds {
 public:
  Rounds(RunningJob& job, const Options& options) : job_(job), options_(options), random_(options.seed) {}

  Result<void> run() {
    if (auto begun = steady(num_nodes(), kStartSeconds); !begun) return begun;
    for (int round = 0; round < options_.rounds; ++round) {
      const std::string drained = any_node();
      for (const auto& deed : {step("drain " + drained, num_nodes() - 1, [&] { return job_.drain(drained); }),
                               step("take it back", num_nodes(), [&] { return job_.undo_drain(drained); }),
                               step("kill a worker", num_nodes(), [&] { return kill_worker(any_node()); }),
                               step("kill a node", num_nodes(), [&] { return kill_node(any_node()); })})
        if (auto done = deed(); !done) return done.error().within("round " + std::to_string(round + 1));
    }
    return {};
  }
  [[nodiscard]] const std::map<Epoch, Plan>& plans() const { return plans_; }

 private:
  [[nodiscard]] int num_nodes() const { return static_cast<int>(job_.nodes().size()); }
  std::string any_node() {
    return job_.nodes()[std::uniform_int_distribution<std::size_t>(0, job_.nodes().size() - 1)(random_)];
  }

  std::function<Result<void>()> step(const std::string& what, int members, std::function<Result<void>()> deed) {
    return [=, this]() -> Result<void> {
      if (!options_.json)
        std::fprintf(stderr, "step %lld: %s\n", static_cast<long long>(job_.record().newest_step().value),
                     what.c_str());
      before_ = job_.timeline().epoch();
      if (auto done = deed(); !done) return done.error().within(what);
      if (auto settled = steady(members, kSteadySeconds); !settled) return settled.error().within(what);
      return {};
    };
  }

  // Plans are read while etcd still has them.
  Result<void> steady(int members, double seconds) {
    const auto trains = [&] {
      const Timeline& timeline = job_.timeline();
      return timeline.epoch() > before_ && timeline.layout()->members == members &&
             timeline.commits_in(timeline.epoch()) > kStepsBetween;
    };
    if (auto waited = job_.wait_for(trains, seconds, std::to_string(members) + " members to train"); !waited)
      return waited;
    for (const cli::RegroupRecord& regroup : job_.record().regroups()) {
      if (plans_.contains(regroup.epoch)) continue;
      auto plan = job_.plan(regroup.epoch);
      if (!plan) return plan.error();
      plans_.emplace(regroup.epoch, std::move(*plan));
    }
    return {};
  }

  Result<void> kill_worker(const std::string& node) {
    const int pid = job_.worker_pid(node);
    if (pid == 0 || cli::parent_of(pid) != job_.cluster().agent_pid(node))
      return Error{Code::kInternal, "no worker runs on " + node};
    ::kill(pid, SIGKILL);
    return {};
  }
  Result<void> kill_node(const std::string& node) {
    const int agent = job_.cluster().agent_pid(node);
    job_.cluster().kill_node(node);
    if (auto gone = job_.wait_for([&] { return cli::parent_of(agent) == 0; }, kSteadySeconds, node + " to be gone");
        !gone)
      return gone;
    return job_.cluster().start_node(node);
  }

  RunningJob& job_;
  const Options& options_;
  std::mt19937_64 random_;
  Epoch before_;
  std::map<Epoch, Plan> plans_;
};

ordered_json to_json(const Options& options, const JobSpec& job, const std::map<std::string, MovedBytes>& by_cause) {
  ordered_json out = {{"model", options.model},
                      {"million_parameters", static_cast<double>(count_parameters(job.model)) / 1e6},
                      {"nodes", RunningJobOptions().nodes},
                      {"rounds", options.rounds},
                      {"seed", options.seed},
                      {"at_most", kMostRatio}};
  bool met = true;
  for (const auto& [cause, bytes] : by_cause) {
    met = met && bytes.worst <= kMostRatio;
    out["causes"][cause] = {{"regroups", bytes.regroups}, {"bytes_moved", bytes.moved},
                            {"bytes_bound", bytes.bound}, {"ratio", bytes.ratio()},
                            {"worst_ratio", bytes.worst}, {"bytes_from_own_agents", bytes.from_own_agents}};
  }
  out["met"] = met;
  return out;
}

void print_table(const ordered_json& out) {
  std::printf("%s: %.1f M parameters, %d nodes in one group; MB of all regroups of a cause, ratio at most %.2f: %s\n",
              out["model"].get<std::string>().c_str(), out["million_parameters"].get<double>(), out["nodes"].get<int>(),
              out["at_most"].get<double>(), out["met"].get<bool>() ? "met" : "not met");
  std::printf("%-14s %8s %10s %10s %8s %8s %12s\n", "", "regroups", "moved", "bound", "ratio", "worst", "own agents");
  for (const auto& [cause, c] : out["causes"].items()) {
    const auto number = [&c = c](const char* key) { return c[key].get<double>(); };
    std::printf("%-14s %8d %10.2f %10.2f %8.3f %8.3f %12.2f\n", cause.c_str(), c["regroups"].get<int>(),
                number("bytes_moved") / 1e6, number("bytes_bound") / 1e6, number("ratio"), number("worst_ratio"),
                number("bytes_from_own_agents") / 1e6);
  }
}

int fail(const std::string& why) { return bench::fail("bench-moved", why); }

Result<std::map<std::string, MovedBytes>> measure(const Options& options, RunningJobOptions cluster) {
  auto job = RunningJob::start(cluster);
  if (!job) return job.error();
  Rounds rounds(**job, options);
  if (auto done = rounds.run(); !done) return done.error();
  return moved_by_cause(cluster.job, (*job)->record().regroups(), rounds.plans());
}

int run(const Options& options) {
  auto folder = make_bench_folder(options.dir, "bench-moved");
  if (!folder) return fail(folder.error().context);
  const std::string dir = *folder;
  std::error_code ignored;
  auto job = example_job(options.model, dir);
  if (!job) return fail(job.error().context);
  RunningJobOptions cluster;
  cluster.job = std::move(*job);
  cluster.job.elastic.max_groups = 1;
  cluster.job.elastic.load_gain = 0;  // experts that change places by their load are no part of the bound
  cluster.job.snapshots.snapshot_every_steps = 1;
  cluster.job.snapshots.checkpoint_every_steps = 0;
  cluster.coordinators = 1;
  cluster.programs = folder_of_programs();
  cluster.dir = dir + "/cluster";
  fs::create_directories(cluster.dir, ignored);
  const auto bytes = measure(options, cluster);
  if (options.keep || (!bytes && interrupted == 0))
    std::fprintf(stderr, "kept: %s\n", dir.c_str());
  else
    fs::remove_all(dir, ignored);
  if (!bytes) return fail(bytes.error().context);
  const ordered_json out = to_json(options, cluster.job, *bytes);
  if (options.json)
    std::printf("%s\n", out.dump(2).c_str());
  else
    print_table(out);
  return out["met"].get<bool>() ? 0 : 1;
}

}  // namespace
}  // namespace regroup::bench

int main(int argc, char** argv) {
  using namespace regroup::bench;
  Options options;
  CLI::App app{
      "Bytes that regroups in one group move, against the fewest that could: four real workers on this machine."};
  add_json(app, options.json);
  add_count(app, "--rounds", options.rounds, "of drain, take back, kill a worker, kill a node");
  app.add_option("--model", options.model, "the job's size")
      ->capture_default_str()
      ->check(CLI::IsMember({"tiny", "small"}));
  app.add_option("--seed", options.seed, "of who it is")->capture_default_str();
  app.add_option("--dir", options.dir,
                 "where a directory is made for logs and journals (default: the system's for "
                 "temporary files)");
  app.add_flag("--keep", options.keep, "leave that directory there");
  if (const auto ended = status_of(app, argc, argv)) return *ended;
  end_waits_by_signals();
  return run(options);
}
