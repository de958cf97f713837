#include "base/log.hpp"
#include "base/version.hpp"
#include "cli/checkpoint/checkpoint_commands.hpp"
#include "cli/commands.hpp"
#include "cli/job/yaml_section.hpp"

#include <csignal>
#include <cstdio>
#include <exception>

namespace {

// CLI11 says of `regroup lcoal` only that a subcommand is required.
std::string unknown_command(const CLI::App& app) {
  if (!app.get_subcommands().empty()) return {};
  const auto words = app.remaining();
  if (words.empty() || words.front().starts_with("-")) return {};
  std::vector<std::string> known;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    known.push_back(command->get_name());
  const std::string near = regroup::cli::nearest(words.front(), known);
  return "'" + words.front() + "' is no command" +
         (near.empty() ? "; `regroup --help` lists them" : "; did you mean " + near + "?");
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  regroup::log::start("regroup", regroup::log::Level::kError);
  CLI::App app{"regroup: trains Mixture-of-Experts models on machines that come and go"};
  app.require_subcommand(1);
  app.set_version_flag("--version", regroup::version_line("regroup"));
  std::function<int()> run;
  regroup::cli::add_local_command(app, &run);
  regroup::cli::add_job_commands(app, &run);
  regroup::cli::add_data_commands(app, &run);
  regroup::cli::add_plan_command(app, &run);
  regroup::cli::add_checkpoint_commands(app, &run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (const std::string what = unknown_command(app); !what.empty()) {
      std::fprintf(stderr, "regroup: %s\n", what.c_str());
      return 2;
    }
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    return run ? run() : 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "regroup: %s\n", error.what());
    return 1;
  }
}
