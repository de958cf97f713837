// processes.hpp: the processes below this one: who belongs to whom (from /proc), and who has ended.
#pragma once

#include <vector>

namespace regroup::cli {

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

}  // namespace regroup::cli
