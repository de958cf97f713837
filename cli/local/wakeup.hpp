// wakeup.hpp: blocks one thread until something happens: a file is written in a watched directory (inotify), a child
// ends (SIGCHLD), another thread or a signal's handler calls wake, or the time is up.
//
// What happens while nobody waits is kept: the next wait returns at once. One at a time in a process, because it takes
// the handler of SIGCHLD.
#pragma once

#include <chrono>
#include <string>

namespace regroup::cli {

class Wakeup {
 public:
  Wakeup();
  ~Wakeup();  // SIGCHLD is as it was
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  void watch_directory(const std::string& directory);  // exists; twice is fine
  void wake();                                         // any thread
  static void wake_from_signal(int signal);  // of the process's wakeup, if there is one; fit to be a signal's handler
  // What happened before it returns needs no further wait to be noticed; it may also return for nothing.
  void wait(std::chrono::milliseconds longest);

 private:
  int event_ = -1, files_ = -1;
};

}  // namespace regroup::cli
