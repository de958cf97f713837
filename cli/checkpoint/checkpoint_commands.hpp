// checkpoint_commands.hpp: `regroup checkpoint ls|verify|digest|export`.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace regroup::cli {

// Adds `checkpoint` with its subcommands to `app`. After a successful parse `*run` does the chosen one and returns the
// exit status: 0 good, 1 damaged or not found, 2 wrong use; it stays as it was when another command was chosen.
void add_checkpoint_commands(CLI::App& app, std::function<int()>* run);

}  // namespace regroup::cli
