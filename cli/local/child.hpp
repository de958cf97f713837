// child.hpp: a program started by this process, dead with it at the latest.
#pragma once

#include "base/result.hpp"

#include <string>
#include <vector>

namespace regroup::cli {

// Starts argv[0] (a path) in a process group of its own, standard output and error appended to `log_file`. It is killed
// when the calling *thread* ends: call from main's.
Result<int> start_child(const std::vector<std::string>& argv, const std::string& log_file);

// Makes orphans below us (workers whose agent was killed) our children, so that collect_children sees their end too.
void adopt_orphans();

struct ChildEnd {
  int pid = 0;
  int status = 0;  // exit status; 128 + signal
};
// Children that have ended since the last call. Never blocks.
std::vector<ChildEnd> collect_children();

int parent_of(int pid);  // 0: no such process
std::vector<int> children_of(int pid);
std::string last_line_of(const std::string& path);

}  // namespace regroup::cli
