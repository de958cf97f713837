#include "cli/local/processes.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace regroup::cli {

void adopt_orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

std::vector<ChildEnd> collect_children() {
  std::vector<ChildEnd> ends;
  int status = 0;
  for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG))
    ends.push_back({static_cast<int>(pid), WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)});
  return ends;
}

int parent_of(int pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(in, text);
  const auto end_of_name = text.rfind(')');  // the name may hold anything
  if (end_of_name == std::string::npos || end_of_name + 4 > text.size()) return 0;
  return std::atoi(text.c_str() + end_of_name + 4);
}

std::vector<int> children_of(int pid) {
  std::vector<int> children;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const int child = std::atoi(entry.path().filename().c_str());
    if (child > 0 && parent_of(child) == pid) children.push_back(child);
  }
  return children;
}

}  // namespace regroup::cli
