#include "base/log.hpp"
#ifdef REGROUP_HAS_CHECKPOINT_COMMANDS
#include "cli/checkpoint/checkpoint_commands.hpp"
#endif
#include "cli/commands.hpp"

#include <csignal>
#include <cstdio>
#include <exception>

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  regroup::log::start("regroup", regroup::log::Level::kError);
  CLI::App app{"regroup: trains Mixture-of-Experts models on machines that come and go"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "regroup 0.1.0");
  std::function<int()> run;
  regroup::add_local_command(app, &run);
  regroup::add_job_commands(app, &run);
  regroup::add_data_commands(app, &run);
  regroup::add_plan_command(app, &run);
#ifdef REGROUP_HAS_CHECKPOINT_COMMANDS
  regroup::add_checkpoint_commands(app, &run);
#endif
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    return run ? run() : 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "regroup: %s\n", error.what());
    return 1;
  }
}
