// bench-reduction [--json] [--rounds N] [--job FILE] [--microbatches N] [--chains N]: what it costs to add gradients in
// the one order that makes equal bits.
//
// The reduction alone, without forward and backward, for the model of examples/small/job.yaml: Reduction, against a
// variant that adds each buffer when it comes, into one accumulator. Expert gradients are written in place by the
// products, so what a product does to add is counted in neither. Both move the same bytes, since half of the chains
// make one node of the tree. Ratios are taken within a round.
#include "bench/command_line.hpp"
#include "bench/reduction/layout.hpp"
#include "bench/reduction/ranks.hpp"
#include "cli/job/job_file.hpp"
#include "moe/ops/machine.hpp"

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace {

using namespace regroup;
using namespace regroup::bench;
using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

struct Options {
  bool json = false;
  int rounds = 41;
  int microbatches = 0, chains = 0;  // 0: those of the job
  std::string job = REGROUP_SOURCE_DIR "/examples/small/job.yaml";
};

Json spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
  };
  return {{"median", at(0.5)}, {"p25", at(0.25)}, {"p75", at(0.75)}, {"min", values.front()}, {"max", values.back()}};
}

Json figures(const Samples& samples) {
  return {{"ms", spread(samples.ms)},
          {"cpu_ms", spread(samples.cpu_ms)},
          {"bytes_moved", samples.bytes_moved},
          {"buffer_bytes", samples.buffer_bytes}};
}

Json measure(const JobSpec& job, const std::string& name, GroupsOf sizes, int rounds) {
  std::string directory = (fs::temp_directory_path() / "reduce-XXXXXX").string();
  if (::mkdtemp(directory.data()) == nullptr) std::exit(1);
  const Placement placement = even_placement(job, sizes);
  const Compared compared = compare(job, placement, rounds, directory);
  fs::remove_all(directory);
  std::vector<double> ratios, cpu_ratios, extra_ms;
  for (std::size_t r = 0; r < compared.fixed.ms.size(); ++r) {
    ratios.push_back(compared.fixed.ms[r] / compared.arrival.ms[r]);
    cpu_ratios.push_back(compared.fixed.cpu_ms[r] / compared.arrival.cpu_ms[r]);
    extra_ms.push_back(compared.fixed.ms[r] - compared.arrival.ms[r]);
  }
  return {{"layout", name},
          {"groups", sizes.groups},
          {"ranks_a_group", sizes.ranks},
          {"fixed_order", figures(compared.fixed)},
          {"arrival_order", figures(compared.arrival)},
          {"fixed_over_arrival", spread(ratios)},
          {"cpu_fixed_over_arrival", spread(cpu_ratios)},
          {"extra_ms", spread(extra_ms)},
          {"extra_buffer_bytes", compared.fixed.buffer_bytes - compared.arrival.buffer_bytes},
          {"gradient_bytes", compared.gradient_bytes}};
}

std::string text(const Json& values, int decimals) {
  char line[96];
  std::snprintf(line, sizeof line, "%.*f (%.*f-%.*f)", decimals, values["median"].get<double>(), decimals,
                values["p25"].get<double>(), decimals, values["p75"].get<double>());
  return line;
}

void print(const Json& out) {
  std::printf(
      "%lld microbatches in %lld chains, %lld rounds: medians (quartiles). MB: moved by all ranks; buffers and "
      "gradients of the rank that has most\n\n",
      out["microbatches"].get<long long>(), out["chains"].get<long long>(), out["rounds"].get<long long>());
  std::printf("%-20s %-9s %20s %20s %9s %9s %12s\n", "", "order", "ms", "CPU ms", "moved MB", "buffers", "gradients");
  const auto mb = [](const Json& bytes) { return bytes.get<double>() / 1e6; };
  for (const Json& row : out["layouts"]) {
    for (const char* order : {"fixed", "arrival"}) {
      const Json& of = row[std::string(order) + "_order"];
      std::printf("%-20s %-9s %20s %20s %9.1f %9.1f %12.1f\n", row["layout"].get<std::string>().c_str(), order,
                  text(of["ms"], 1).c_str(), text(of["cpu_ms"], 1).c_str(), mb(of["bytes_moved"]),
                  mb(of["buffer_bytes"]), mb(row["gradient_bytes"]));
    }
    std::printf("%-20s %-9s %20s %20s %9s %+9.1f\n\n", "", "ratio", text(row["fixed_over_arrival"], 2).c_str(),
                text(row["cpu_fixed_over_arrival"], 2).c_str(), "", mb(row["extra_buffer_bytes"]));
  }
}

}  // namespace

int main(int argc, char** argv) {
  ops::keep_freed_memory();
  Options options;
  CLI::App app{"What it costs to add gradients in the one order that makes equal bits."};
  add_json(app, options.json);
  add_count(app, "--rounds", options.rounds, "of both orders");
  app.add_option("--job", options.job, "job file whose model it is")->capture_default_str()->check(CLI::ExistingFile);
  add_count(app, "--microbatches", options.microbatches, "in a step (0: those of the job)");
  add_count(app, "--chains", options.chains, "in a step (0: those of the job)");
  if (const auto ended = status_of(app, argc, argv)) return *ended;
  auto loaded = cli::load_job(options.job);
  if (!loaded) {
    std::fprintf(stderr, "bench-reduction: %s\n", to_string(loaded.error()).c_str());
    return 1;
  }
  JobSpec& job = loaded->job;
  if (options.microbatches > 0) job.microbatches = options.microbatches;
  if (options.chains > 0) job.chains = options.chains;
  if (auto good = check_job(job); !good || job.chains < 2) {
    std::fprintf(stderr, "bench-reduction: %s\n",
                 good ? "two groups need two chains" : to_string(good.error()).c_str());
    return 1;
  }
  Json out = {{"job", job.name},
              {"parameters", count_parameters(job.model)},
              {"microbatches", job.microbatches},
              {"chains", job.chains},
              {"rounds", options.rounds}};
  const std::pair<const char*, GroupsOf> layouts[] = {
      {"one group of 2", {1, 2}}, {"two groups of 1", {2, 1}}, {"two groups of 2", {2, 2}}};
  for (const auto& [name, sizes] : layouts) {
    std::fprintf(stderr, "%s: %d rounds of both orders\n", name, options.rounds);
    out["layouts"].push_back(measure(job, name, sizes, options.rounds));
  }
  if (options.json) {
    std::printf("%s\n", out.dump().c_str());
  } else {
    print(out);
  }
  return 0;
}
