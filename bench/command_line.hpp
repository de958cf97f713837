// command_line.hpp: what every bench owes a person at a shell: --help says what it does, and what it does not know is
// refused.
#pragma once

#include <CLI/CLI.hpp>

#include <optional>

namespace regroup::bench {

inline void add_json(CLI::App& app, bool& json) { app.add_flag("--json", json, "JSON instead of a table"); }

inline void add_count(CLI::App& app, const char* name, int& count, const char* what) {
  app.add_option(name, count, what)->capture_default_str()->check(CLI::PositiveNumber);
}

// The status to end with: 0 after --help, 2 where an argument is wrong. Nothing: go on.
inline std::optional<int> status_of(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return std::nullopt;
}

}  // namespace regroup::bench
