// `regroup plan JOB.yaml`: parameters, work, memory, traffic, and what happens when nodes go, without a cluster.
#include "base/whole_number.hpp"
#include "cli/commands.hpp"
#include "cli/job/job_file.hpp"
#include "cli/plan/what_if_text.hpp"

#include <cstdio>
#include <memory>

namespace regroup::cli {
namespace {

struct Arguments {
  std::string job_file;
  ImaginedCluster cluster;
  int lose = 4;
  bool json = false;
};

int plan_command(const Arguments& arguments) {
  const auto fail = [](const Error& error) {
    std::fprintf(stderr, "regroup plan: %s\n", error.context.c_str());
    return exit_of(error);
  };
  auto file = load_job(arguments.job_file, "/unknown");
  if (!file) return fail(file.error());
  auto result = what_if(file->job, arguments.cluster, arguments.lose);
  if (!result) return fail(result.error());
  std::printf("%s\n", arguments.json ? what_if_json(*result).c_str()
                                     : what_if_text(file->job, arguments.cluster, *result).c_str());
  return result->placement.groups.empty() ? 1 : 0;
}

}  // namespace

void add_plan_command(CLI::App& app, std::function<int()>* run) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "plan", "what a job would be on a cluster: size, work, memory, groups, traffic, and what happens when nodes go");
  command->add_option("JOB.yaml", arguments->job_file, "the job file; its data need not be there")->required();
  command->add_option("--nodes", arguments->cluster.nodes, "how many")
      ->required()
      ->check(whole_number<int>)
      ->check(CLI::Range(1, 16384));
  command->add_option("--workers-per-node", arguments->cluster.workers_per_node, "workers (GPUs) a node")
      ->capture_default_str()
      ->check(whole_number<int>)
      ->check(CLI::Range(1, 64));
  command
      ->add_option("--memory", arguments->cluster.memory_bytes, "of a worker, as 80GiB; without it there is no limit")
      ->transform(CLI::AsSizeValue(true));
  command->add_option("--lose", arguments->lose, "how many nodes go, at most")
      ->capture_default_str()
      ->check(whole_number<int>)
      ->check(CLI::Range(0, 64));
  command->add_flag("--json", arguments->json, "print JSON");
  command->callback([run, arguments] { *run = [arguments] { return plan_command(*arguments); }; });
}

}  // namespace regroup::cli
