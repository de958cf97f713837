// bench-planner [--json] [--rounds N]: how long a plan takes for thousands of workers.
//
// `placement`: make_placement alone. `decide`: from the coordinator's view of the cluster to a plan that passed
// check_plan. `text`: that plan as JSON, as it goes to etcd. Cases: the first plan; one worker lost (kSoonest); one
// more worker, nothing else (kBalanced); one more worker where one was lost before (kBalanced); the same workers and a
// steady load of uneven experts (kBalanced). Median, least and most; CPU time of the one thread that does it.
#include "bench/command_line.hpp"
#include "bench/planner/world.hpp"
#include "bench/thread_clock.hpp"
#include "coordinator/core/decide.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>

namespace regroup::bench {
namespace {

constexpr double kTargetMs = 100;

struct Case {
  std::string name;
  int workers = 0;
  Model model;
  std::vector<double> placement_ms, decide_ms, text_ms;
  std::size_t text_bytes = 0;
};

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "bench-planner: %s\n", why.c_str());
  std::exit(1);
}

// What it takes on an idle machine, whatever else runs here: all of it is one thread that waits for nothing.
double time_ms(const std::function<void()>& work) {
  const double start = cpu_ms();
  work();
  return cpu_ms() - start;
}

planning::Planned measure_placement(Case& into, const planning::PlannerInput& input, int rounds) {
  planning::PlanningResult result;
  for (int round = 0; round <= rounds; ++round) {
    const double ms = time_ms([&] { result = planning::make_placement(input); });
    if (!result.planned) fail(into.name + ": " + result.reason);
    if (round > 0) into.placement_ms.push_back(ms);  // the first round warms up
  }
  return std::move(*result.planned);
}

void measure_decide(Case& into, const Cluster& cluster, int rounds) {
  for (int round = 0; round <= rounds; ++round) {
    coordinator::JobMemory memory;
    coordinator::Decision decision;
    const double ms =
        time_ms([&] { decision = coordinator::decide(cluster.view, cluster.job(), memory, cluster.now); });
    if (!decision.plan) fail(into.name + ": decided nothing: " + to_string(decision.state) + ": " + decision.reason);
    std::string text;
    const double text_ms = time_ms([&] { text = to_json(*decision.plan); });
    if (round == 0) continue;
    into.decide_ms.push_back(ms);
    into.text_ms.push_back(text_ms);
    into.text_bytes = text.size();
  }
}

// Experts get 1 to 8 times as many tokens as the least popular one, each layer in another order.
std::vector<std::int64_t> uneven_load(const JobSpec& job) {
  std::vector<std::int64_t> load(static_cast<std::size_t>(job.model.num_hidden_layers * job.model.num_local_experts));
  for (std::size_t i = 0; i < load.size(); ++i) load[i] = 1000 << (i * 2654435761u >> 7) % 4;
  return load;
}

std::vector<Case> measure(const Model& model, int workers, int rounds) {
  const JobSpec job = make_job(model, workers);
  const int lost = workers / 2;
  Case start{"start", workers, model, {}, {}, {}, 0}, loss{"loss", workers, model, {}, {}, {}, 0},
      join{"join", workers, model, {}, {}, {}, 0}, restore{"join after loss", workers, model, {}, {}, {}, 0},
      by_load{"by load", workers, model, {}, {}, {}, 0};
  const Plan first = make_plan_of(
      job, nullptr, measure_placement(start, {&job, nullptr, candidates(workers), planning::Goal::kBalanced}, rounds));
  const Plan second = make_plan_of(
      job, &first,
      measure_placement(loss, {&job, &first, candidates(workers, lost), planning::Goal::kSoonest}, rounds));
  measure_placement(join, {&job, &first, candidates(workers + 1), planning::Goal::kBalanced}, rounds);
  measure_placement(restore, {&job, &second, candidates(workers + 1, lost), planning::Goal::kBalanced}, rounds);
  const std::vector<std::int64_t> expert_load = uneven_load(job);
  const LoadRecord load{first.epoch, Step(16), expert_load, expert_load};  // steady
  measure_placement(by_load, {&job, &first, candidates(workers), planning::Goal::kBalanced, &load}, rounds);

  measure_decide(start, Cluster(job, workers, nullptr), rounds);
  Cluster with_loss(job, workers, &first);
  with_loss.lose(lost);
  measure_decide(loss, with_loss, rounds);
  Cluster with_newcomer(job, workers, &first);
  with_newcomer.add_warm(workers);
  measure_decide(join, with_newcomer, rounds);
  return {start, loss, join, restore, by_load};
}

nlohmann::ordered_json summary(std::vector<double> values) {
  if (values.empty()) return nullptr;
  std::sort(values.begin(), values.end());
  return {{"median", values[values.size() / 2]}, {"least", values.front()}, {"most", values.back()}};
}

std::string text_of(const nlohmann::ordered_json& figures) {
  if (figures.is_null()) return "-";
  char text[64];
  std::snprintf(text, sizeof text, "%.1f (%.1f-%.1f)", figures["median"].get<double>(), figures["least"].get<double>(),
                figures["most"].get<double>());
  return text;
}

int run(int rounds, bool json) {
  const std::vector<Model> models = {{"32 layers x 8 experts, groups of 8", 32, 8, 8},
                                     {"58 layers x 256 experts, groups of 64", 58, 256, 64}};
  nlohmann::ordered_json out = {
      {"target_ms", kTargetMs}, {"rounds", rounds}, {"cases", nlohmann::ordered_json::array()}};
  bool met = true;
  if (!json) std::printf("ms of CPU: median (least-most) of %d rounds; target %.0f ms\n", rounds, kTargetMs);
  for (const Model& model : models) {
    if (!json)
      std::printf("\n%s\n%8s  %-16s %24s %24s %24s %12s\n", model.name.c_str(), "workers", "", "placement", "decide",
                  "text", "plan MiB");
    for (const int workers : {4096, 16384}) {
      for (const Case& c : measure(model, workers, rounds)) {
        const nlohmann::ordered_json placement = summary(c.placement_ms), decided = summary(c.decide_ms),
                                     text = summary(c.text_ms);
        met = met && placement["median"].get<double>() <= kTargetMs;
        out["cases"].push_back({{"workers", c.workers},
                                {"model", model.name},
                                {"case", c.name},
                                {"placement_ms", placement},
                                {"decide_ms", decided},
                                {"text_ms", text},
                                {"plan_bytes", c.text_bytes}});
        if (json) continue;
        char plan[16] = "-";
        if (c.text_bytes > 0) std::snprintf(plan, sizeof plan, "%.2f", static_cast<double>(c.text_bytes) / (1 << 20));
        std::printf("%8d  %-16s %24s %24s %24s %12s\n", c.workers, c.name.c_str(), text_of(placement).c_str(),
                    text_of(decided).c_str(), text_of(text).c_str(), plan);
        std::fflush(stdout);
      }
    }
  }
  out["met"] = met;
  if (json)
    std::printf("%s\n", out.dump(2).c_str());
  else
    std::printf("\nplacement within %.0f ms in every case: %s\n", kTargetMs, met ? "yes" : "no");
  return 0;
}

}  // namespace
}  // namespace regroup::bench

int main(int argc, char** argv) {
  bool json = false;
  int rounds = 9;
  CLI::App app{"How long a plan takes for thousands of workers: placement, decision and text."};
  regroup::bench::add_json(app, json);
  regroup::bench::add_count(app, "--rounds", rounds, "of each case");
  if (const auto ended = regroup::bench::status_of(app, argc, argv)) return *ended;
  return regroup::bench::run(rounds, json);
}
