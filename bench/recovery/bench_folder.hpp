// bench_folder.hpp: where a bench on a running job works, and what a signal does to it. Main's thread only.
#pragma once

#include "base/result.hpp"

#include <string>

namespace regroup::bench {

// A new folder PROGRAM-XXXXXX below `dir` (empty: the system's for temporary files), which is made too; this program's
// log goes to bench.log in it.
Result<std::string> make_bench_folder(const std::string& dir, const std::string& program);

// SIGINT, SIGTERM and SIGHUP set `interrupted`, so that every wait ends.
void end_waits_by_signals();

// The folder of the programs that a bench starts: its own.
std::string folder_of_programs();

// Says why on standard error. The exit status: 130 when a signal was the reason, else 1.
int fail(const std::string& program, const std::string& why);

}  // namespace regroup::bench
