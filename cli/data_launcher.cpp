#include "cli/commands.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace regroup::cli {
namespace {

// The program beside this one takes over; it returns only if there is none.
int become_data_program(std::vector<std::string> arguments) {
  const std::string program = (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "regroup-data").string();
  arguments.insert(arguments.begin(), program);
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  ::execv(program.c_str(), pointers.data());
  std::fprintf(stderr, "regroup data: cannot start %s: %s\n", program.c_str(), std::strerror(errno));
  return 1;
}

}  // namespace

void add_data_commands(CLI::App& app, std::function<int()>* run) {
  CLI::App* data =
      app.add_subcommand("data", "prepare text for training, train a tokenizer, check a prepared set, show a sample");
  data->set_help_flag();  // the other program explains itself
  data->prefix_command();
  data->callback([run, data] { *run = [arguments = data->remaining()] { return become_data_program(arguments); }; });
}

}  // namespace regroup::cli
