// bench-recovery: how long a job stands still when something dies. Real processes on this machine: etcd, two
// coordinators, four agents with a worker each, in two groups.
//
//   bench-recovery [--json] [--model tiny|small] [--case NAME]... [--kills N] [--seed N] [--dir DIR] [--keep]
//
// What is measured: timeline.hpp. Progress goes to standard error, the table or the JSON to standard output. Ctrl-C
// leaves nothing behind.
#include "bench/command_line.hpp"
#include "bench/recovery/bench_folder.hpp"
#include "bench/recovery/example_job.hpp"
#include "bench/recovery/kills.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace regroup::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct Options {
  bool json = false, keep = false;
  std::string model = "tiny", dir;
  std::vector<std::string> cases;
  CaseOptions run;
};

int fail(const std::string& why) { return bench::fail("bench-recovery", why); }

ordered_json to_json(const Case& which, const CaseResult& result) {
  std::vector<double> recovery, whole, still;
  std::vector<double> detect, decide, stop, agree, move, first;
  ordered_json samples = ordered_json::array();
  for (const Kill& kill : result.kills) {
    const Recovery& r = kill.recovery;
    const Phases& p = r.phases;
    recovery.push_back(r.recovery_s);
    whole.push_back(r.whole_s);
    still.push_back(p.still_ms() / 1000);
    detect.push_back(p.detect_ms), decide.push_back(p.decide_ms), stop.push_back(p.stop_ms);
    agree.push_back(p.agree_ms), move.push_back(p.move_ms), first.push_back(p.first_ms);
    samples.push_back({{"node", kill.node},
                       {"step", kill.step},
                       {"recovery_s", r.recovery_s},
                       {"whole_s", r.whole_s},
                       {"members", r.layout.members},
                       {"groups", r.layout.groups},
                       {"step_s", r.step_s},
                       {"plans", r.plans},
                       {"cause", r.cause},
                       {"source", r.source},
                       {"detect_ms", p.detect_ms},
                       {"decide_ms", p.decide_ms},
                       {"stop_ms", p.stop_ms},
                       {"agree_ms", p.agree_ms},
                       {"move_ms", p.move_ms},
                       {"first_ms", p.first_ms}});
  }
  const double p50 = percentile(recovery, 0.5), p95 = percentile(recovery, 0.95), whole_p50 = percentile(whole, 0.5);
  const double whole_most = 1.0 + 2 * result.whole_step_s;
  ordered_json figures = ordered_json::object();
  if (which.most_p50_s > 0) figures["p50_s"] = which.most_p50_s;
  if (which.most_p95_s > 0) figures["p95_s"] = which.most_p95_s;
  const bool wants_whole = which.name == "kill_worker" || which.name == "kill_node";
  if (wants_whole) figures["whole_p50_s"] = whole_most;
  const bool met = (which.most_p50_s == 0 || p50 <= which.most_p50_s) &&
                   (which.most_p95_s == 0 || p95 <= which.most_p95_s) && (!wants_whole || whole_p50 <= whole_most) &&
                   result.steps_lost == 0;
  return {{"p50_s", p50},
          {"p95_s", p95},
          {"max_s", percentile(recovery, 1)},
          {"still_p50_s", percentile(still, 0.5)},
          {"still_p95_s", percentile(still, 0.95)},
          {"kills", result.kills.size()},
          {"step_s", result.step_s},
          {"whole_p50_s", whole_p50},
          {"whole_p95_s", percentile(whole, 0.95)},
          {"whole_step_s", result.whole_step_s},
          {"steps_lost", result.steps_lost},
          {"others_cpu", result.others_cpu},
          {"phases_p50_ms",
           {{"detect", percentile(detect, 0.5)},
            {"decide", percentile(decide, 0.5)},
            {"stop", percentile(stop, 0.5)},
            {"agree", percentile(agree, 0.5)},
            {"move", percentile(move, 0.5)},
            {"first_step_above_median", percentile(first, 0.5)}}},
          {"at_most", figures},
          {"met", met},
          {"samples", samples}};
}

void print_table(const ordered_json& out, const std::vector<Case>& cases) {
  std::printf("%s: %.1f M parameters, %d nodes in 2 groups; seconds\n", out["model"].get<std::string>().c_str(),
              out["million_parameters"].get<double>(), out["nodes"].get<int>());
  std::printf("%-24s %5s %7s %7s %7s %7s %7s %7s %7s %5s %6s  %s\n", "", "kills", "p50", "p95", "max", "still95",
              "step", "whole", "step", "lost", "others", "figures");
  for (const Case& which : cases) {
    if (!out.contains(which.name)) continue;
    const ordered_json& c = out[which.name];
    const auto number = [&](const char* key) { return c[key].get<double>(); };
    std::string figures;
    for (const auto& [key, most] : c["at_most"].items()) {
      char text[64];
      std::snprintf(text, sizeof text, "%s%s <= %.2f", figures.empty() ? "" : ", ",
                    key.substr(0, key.size() - 2).c_str(), most.get<double>());
      figures += text;
    }
    std::printf("%-24s %5d %7.3f %7.3f %7.3f %7.3f %7.3f %7.3f %7.3f %5d %5.0f%%  %s: %s\n", which.name.c_str(),
                c["kills"].get<int>(), number("p50_s"), number("p95_s"), number("max_s"), number("still_p95_s"),
                number("step_s"), number("whole_p50_s"), number("whole_step_s"), c["steps_lost"].get<int>(),
                100 * number("others_cpu"), figures.c_str(), c["met"].get<bool>() ? "met" : "not met");
  }
  std::printf("\nmedian of each phase, ms\n%-24s %7s %7s %7s %7s %7s %7s\n", "", "detect", "decide", "stop", "agree",
              "move", "rest");
  for (const Case& which : cases) {
    if (!out.contains(which.name)) continue;
    std::printf("%-24s", which.name.c_str());
    for (const auto& [key, value] : out[which.name]["phases_p50_ms"].items())
      std::printf(" %7.1f", value.get<double>());
    std::printf("\n");
  }
}

int run(Options& options) {
  auto folder = make_bench_folder(options.dir, "bench-recovery");
  if (!folder) return fail(folder.error().context);
  const std::string dir = *folder;
  std::error_code ignored;
  RunningJobOptions& cluster = options.run.cluster;
  auto job = example_job(options.model, dir);
  if (!job) return fail(job.error().context);
  cluster.job = std::move(*job);
  cluster.job.elastic.max_groups = 2;
  cluster.job.elastic.load_gain = 0;  // no regroup but those that are measured
  cluster.programs = folder_of_programs();

  const double million = static_cast<double>(count_parameters(cluster.job.model)) / 1e6;
  const std::vector<Case> cases = all_cases(million);
  ordered_json out = {{"model", options.model},
                      {"million_parameters", million},
                      {"nodes", cluster.nodes},
                      {"coordinators", cluster.coordinators},
                      {"seed", options.run.seed}};
  bool met = true, failed = false;
  for (const Case& which : cases) {
    if (!options.cases.empty() &&
        std::find(options.cases.begin(), options.cases.end(), which.name) == options.cases.end())
      continue;
    cluster.dir = dir + "/" + which.name;
    auto result = run_case(which, options.run);
    if (!result) {
      if (interrupted != 0) {
        fs::remove_all(dir, ignored);
        return fail(result.error().context);
      }
      failed = true;
      (void)fail(result.error().context);
      continue;
    }
    out[which.name] = to_json(which, *result);
    met = met && out[which.name]["met"].get<bool>();
  }
  out["met"] = met && !failed;
  if (options.keep || failed)
    std::fprintf(stderr, "kept: %s\n", dir.c_str());
  else
    fs::remove_all(dir, ignored);
  if (options.json)
    std::printf("%s\n", out.dump(2).c_str());
  else
    print_table(out, cases);
  return failed ? 1 : 0;
}

}  // namespace
}  // namespace regroup::bench

int main(int argc, char** argv) {
  using namespace regroup::bench;
  Options options;
  CLI::App app{"How long a job stands still when something dies: four real workers on this machine."};
  add_json(app, options.json);
  std::vector<std::string> known;
  for (const Case& one : all_cases(1)) known.push_back(one.name);
  app.add_option("--case", options.cases, "may be repeated (default: all)")
      ->take_all()
      ->expected(1)
      ->check(CLI::IsMember(known));
  add_count(app, "--kills", options.run.kills, "of each case");
  app.add_option("--model", options.model, "the job's size")
      ->capture_default_str()
      ->check(CLI::IsMember({"tiny", "small"}));
  app.add_option("--seed", options.run.seed, "of the moments and of who is killed")->capture_default_str();
  app.add_option("--dir", options.dir,
                 "where a directory is made for logs and journals (default: the system's for "
                 "temporary files)");
  app.add_flag("--keep", options.keep, "leave that directory there");
  if (const auto ended = status_of(app, argc, argv)) return *ended;
  end_waits_by_signals();
  return run(options);
}
