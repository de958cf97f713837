// data_commands.hpp: prepare, train-tokenizer, check. `*run` is set to what does the chosen one; it returns the exit
// status: 0 good, 1 failed, 2 wrong use.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>

namespace regroup::cli {

void add_data_subcommands(CLI::App& data, std::function<int()>* run);

}  // namespace regroup::cli
