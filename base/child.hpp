// child.hpp: starts another program as a child of this process. The daemons and the command line fork only here;
// cli/data_launcher execs in its own place, and a benchmark and tests fork without an exec.
//
// A child takes over more than it should: each descriptor that is not close-on-exec (and so the ports and locks of its
// parent), the parent's signal mask and handlers. Here it gets what is named and nothing else: descriptors 0 to 2, the
// kept ones, an empty signal mask; signals that the parent catches act as by default, ignored ones stay ignored.
//
// The child does not outlive its parent: the kernel sends it SIGKILL (PDEATHSIG). Complication: that follows the
// *thread* that called start_child, not the process. Call it from a thread that lives as long as the child should,
// usually main's.
#pragma once

#include "base/result.hpp"

#include <optional>
#include <string>
#include <vector>

namespace regroup {

struct ChildProgram {
  std::vector<std::string> arguments;                   // [0] is the program's path; PATH is not searched
  std::optional<std::vector<std::string>> environment;  // NAME=value; none: this process's
  int output = -1;        // descriptor that becomes standard output and error; -1: this process's
  std::vector<int> keep;  // become descriptors 3, 4, ... of the child; they stay open here
  bool own_group = true;  // a process group of its own: Ctrl-C at the terminal does not reach it
};

// Returns the process id once the program runs: exec succeeded. The caller waits for its end (waitpid). Standard input
// is /dev/null. kUnavailable, naming the program and errno's text: it cannot be executed, no more processes or
// descriptors. There is no child then, and none to wait for.
Result<int> start_child(const ChildProgram& program);

}  // namespace regroup
