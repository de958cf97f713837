#include "base/log.hpp"
#include "base/version.hpp"
#include "cli/data/data_commands.hpp"

#include <csignal>
#include <cstdio>
#include <exception>

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  regroup::log::start("regroup-data", regroup::log::Level::kError);
  CLI::App app{"text for training", "regroup data"};
  app.require_subcommand(1);
  app.set_version_flag("--version", regroup::version_line("regroup-data"));
  std::function<int()> run;
  regroup::cli::add_data_subcommands(app, &run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    return run ? run() : 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "regroup data: %s\n", error.what());
    return 1;
  }
}
