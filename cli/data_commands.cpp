#include "cli/commands.hpp"
#include "moe/data/prepare.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <memory>

#include <unistd.h>

namespace regroup {
namespace {

struct Arguments {
  PrepareOptions options;
  bool json = false;
};

int prepare_command(Arguments& arguments) {
  const bool terminal = ::isatty(2) == 1;
  if (terminal) {
    arguments.options.progress = [](std::int64_t done, std::int64_t total) {
      if (total > 0) {
        std::fprintf(stderr, "\r%6.1f MB of %.1f MB", static_cast<double>(done) / 1e6, static_cast<double>(total) / 1e6);
      } else {
        std::fprintf(stderr, "\r%6.1f MB", static_cast<double>(done) / 1e6);
      }
      std::fflush(stderr);
    };
  }
  auto made = prepare(arguments.options);
  if (terminal) std::fprintf(stderr, "\r\x1b[K");
  if (!made) {
    std::fprintf(stderr, "regroup data prepare: %s\n", made.error().context.c_str());
    return 1;
  }
  const std::string& prefix = arguments.options.prefix;
  if (arguments.json) {
    const nlohmann::ordered_json out = {{"prefix", prefix}, {"num_documents", made->num_documents}, {"num_tokens", made->num_tokens}, {"num_empty", made->num_empty},
                                        {"bin_xxh3", made->bin_xxh3}, {"idx_xxh3", made->idx_xxh3}};
    std::printf("%s\n", out.dump(2).c_str());
  } else {
    std::printf("%s.bin: %lld tokens in %lld documents (%lld empty ones left out)\n", prefix.c_str(), static_cast<long long>(made->num_tokens),
                static_cast<long long>(made->num_documents), static_cast<long long>(made->num_empty));
  }
  return 0;
}

}  // namespace

void add_data_commands(CLI::App& app, std::function<int()>* run) {
  CLI::App* data = app.add_subcommand("data", "prepare text for training");
  data->require_subcommand(1);
  CLI::App* command = data->add_subcommand("prepare", "plain text -> PREFIX.bin, PREFIX.idx, PREFIX.json; a token is a byte, 256 ends a document");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("INPUT", arguments->options.inputs, "files, directories (all files below, by name), or - for standard input")->required()->type_name("");
  command->add_option("--out", arguments->options.prefix, "PREFIX of the three files; what a job file calls `data`")->required()->type_name("PREFIX");
  command->add_flag("--split-lines", arguments->options.split_lines, "each line is a document of its own, not each file");
  command->add_flag("--json", arguments->json, "print the result as JSON");
  command->callback([run, arguments] { *run = [arguments] { return prepare_command(*arguments); }; });
}

}  // namespace regroup
