// show_command.hpp: `regroup data show`: what a sample of a job, or of one set, is made of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace regroup::cli {

struct ShowArguments {
  std::string what;  // a job file, or the PREFIX of a set
  std::int64_t sample = 0;
  std::optional<std::uint64_t> seed;            // of a set alone
  std::optional<std::int64_t> sequence_length;  // of a set alone
  bool json = false;
};

// The exit status.
int show_command(const ShowArguments& arguments);

}  // namespace regroup::cli
