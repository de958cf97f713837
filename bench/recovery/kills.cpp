#include "bench/recovery/kills.hpp"

#include "base/now.hpp"
#include "bench/recovery/cpu_meter.hpp"
#include "cli/local/processes.hpp"

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <random>

namespace regroup::bench {
namespace {

constexpr double kStartSeconds = 120;
constexpr double kRecoverSeconds = 60;
constexpr int kStepsBetween = 2;  // in the whole layout, before the next kill
constexpr std::int64_t kCoordinatorBackAfterMs = 1000;

class Killing {
 public:
  Killing(const Case& which, const CaseOptions& options, RunningJob& job)
      : case_(which), options_(options), job_(job), random_(options.seed) {}

  Result<CaseResult> run() {
    std::fprintf(stderr, "%s: %s, %d times (seed %llu)\n", case_.name.c_str(), case_.what.c_str(), options_.kills,
                 static_cast<unsigned long long>(options_.seed));
    const auto all_train = [&] {
      return job_.timeline().layout() && job_.timeline().layout()->members == options_.cluster.nodes &&
             trains_steadily();
    };
    if (auto begun = job_.wait_for(all_train, kStartSeconds,
                                   "the first steps of all " + std::to_string(options_.cluster.nodes) + " workers");
        !begun)
      return begun.error();
    whole_ = *job_.timeline().layout();
    const CpuMeter meter;
    for (int i = 0; i < options_.kills; ++i) {
      if (auto done = kill_once(i); !done) return done.error().within(case_.name + ", kill " + std::to_string(i + 1));
    }
    CaseResult out = result();
    out.others_cpu = meter.share_of_others();
    return out;
  }

 private:
  [[nodiscard]] bool trains_steadily() const {
    return job_.timeline().commits_in(job_.timeline().epoch()) > kStepsBetween;
  }

  Result<void> kill_once(int number) {
    const auto is_whole = [&] { return *job_.timeline().layout() == whole_ && trains_steadily(); };
    if (auto steady = job_.wait_for(is_whole, kRecoverSeconds, "the whole layout to train again"); !steady)
      return steady;
    std::string leader;
    if (kills_leader()) {
      auto standing = standing_coordinators();
      if (!standing) return standing.error();
      leader = standing->front();
    }
    const double wait_s = std::uniform_real_distribution<double>(0, 2 * job_.timeline().median_step_s(whole_))(random_);
    const std::int64_t until = wall_ms() + static_cast<std::int64_t>(wait_s * 1000);
    if (auto waited = job_.wait_for([&] { return wall_ms() >= until; }, kRecoverSeconds, "the moment"); !waited)
      return waited;

    Kill kill;
    const auto nodes = job_.nodes();
    kill.node = nodes[std::uniform_int_distribution<std::size_t>(0, nodes.size() - 1)(random_)];
    kill.step = job_.record().newest_step().value;
    kill.epoch = job_.timeline().epoch();
    if (auto done = perform(kill, leader); !done) return done;

    const auto over = [&] { return job_.timeline().recovery(kill.at_ms, kill.epoch).has_value(); };
    if (auto whole = job_.wait_for(over, kRecoverSeconds, "as many workers as before to commit"); !whole) return whole;
    const Recovery now = *job_.timeline().recovery(kill.at_ms, kill.epoch);
    std::fprintf(stderr,
                 "  %2d/%d  step %lld, %s%s: %.0f ms (%d left in %d group%s; detect %.0f, decide %.0f, stop %.0f, "
                 "agree %.0f, move %.0f, rest %.0f), whole after %.2f s\n",
                 number + 1, options_.kills, static_cast<long long>(kill.step), kill.node.c_str(),
                 leader.empty() ? "" : (" and " + leader).c_str(), now.recovery_s * 1000, now.layout.members,
                 now.layout.groups, now.layout.groups == 1 ? "" : "s", now.phases.detect_ms, now.phases.decide_ms,
                 now.phases.stop_ms, now.phases.agree_ms, now.phases.move_ms, now.phases.first_ms, now.whole_s);
    kills_.push_back(std::move(kill));
    return {};
  }

  [[nodiscard]] bool kills_leader() const { return case_.name == "kill_leader_and_worker"; }

  // All of them, so that one stands by to take over.
  Result<std::vector<std::string>> standing_coordinators() {
    std::vector<std::string> standing;
    const auto all_stand = [&] {
      const auto found = job_.coordinators();
      standing = found ? *found : std::vector<std::string>();
      return static_cast<int>(standing.size()) >= options_.cluster.coordinators;
    };
    if (auto waited = job_.wait_for(all_stand, kRecoverSeconds, "every coordinator to stand for election"); !waited)
      return waited.error();
    return standing;
  }

  // The clock starts right before the signal: finding the processes is no part of what is measured.
  Result<void> perform(Kill& kill, const std::string& leader) {
    cli::Cluster& cluster = job_.cluster();
    const std::string node = kill.node;
    const int worker = job_.worker_pid(node);
    if (worker == 0 || cli::parent_of(worker) != cluster.agent_pid(node))
      return Error{Code::kInternal, "no worker runs on " + node};
    kill.at_ms = wall_ms();
    if (case_.name == "kill_node") {
      const int agent = cluster.agent_pid(node);
      ::kill(agent, SIGKILL);
      ::kill(worker, SIGKILL);
      cluster.kill_node(node);  // it is dead; this strikes it off the list
      start_again(node, agent);
      return {};
    }
    if (case_.name == "stop_worker") {
      ::kill(worker, SIGSTOP);
      return {};
    }
    if (kills_leader()) {
      if (!cluster.kill_coordinator(leader))
        return Error{Code::kInternal, "the leader is called " + leader + ", and no such coordinator runs here"};
      job_.later(kCoordinatorBackAfterMs, [&cluster, leader] { return cluster.start_coordinator(leader); });
    }
    ::kill(worker, SIGKILL);
    return {};
  }

  // As a service manager does: some time after the old one has ended (a large process takes a while to).
  void start_again(const std::string& node, int old_agent) {
    job_.later(options_.node_back_after_ms, [this, node, old_agent]() -> Result<void> {
      if (cli::parent_of(old_agent) == 0) return job_.cluster().start_node(node);
      start_again(node, old_agent);
      return {};
    });
  }

  CaseResult result() {
    CaseResult out;
    std::vector<double> steps;
    for (Kill& kill : kills_) {
      kill.recovery = *job_.timeline().recovery(kill.at_ms, kill.epoch);  // by now medians know more steps
      steps.push_back(kill.recovery.step_s);
    }
    out.kills = std::move(kills_);
    out.step_s = percentile(steps, 0.5);
    out.whole_step_s = job_.timeline().median_step_s(whole_);
    out.steps_lost = job_.record().steps_lost();
    return out;
  }

  const Case& case_;
  const CaseOptions& options_;
  RunningJob& job_;
  std::mt19937_64 random_;
  Layout whole_;
  std::vector<Kill> kills_;
};

}  // namespace

std::vector<Case> all_cases(double million_parameters) {
  const double p50 = million_parameters > 5 ? 0.15 : 0.10;
  return {{"kill_worker", "SIGKILL of a random worker", p50, 0.30},
          {"kill_node", "SIGKILL of a random agent and its worker, started again", p50, 0.30},
          {"stop_worker", "SIGSTOP of a random worker", 1.5, 0},
          {"kill_leader_and_worker", "SIGKILL of the leading coordinator and of a random worker", 0, 4.0}};
}

Result<CaseResult> run_case(const Case& which, const CaseOptions& options) {
  std::error_code error;
  std::filesystem::create_directories(options.cluster.dir, error);
  if (error) return Error{Code::kBadInput, "cannot make " + options.cluster.dir + ": " + error.message()};
  auto job = RunningJob::start(options.cluster);
  if (!job) return job.error();
  return Killing(which, options, **job).run();
}

}  // namespace regroup::bench
