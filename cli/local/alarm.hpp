// alarm.hpp: lets one thread sleep until something happened: a file of a watched directory was written, a child ended,
// somebody rang, or the time is up.
//
// What happens while nobody waits is not lost: the next wait returns at once. One alarm at a time in a process, for it
// takes SIGCHLD.
#pragma once

#include <chrono>
#include <string>

namespace regroup::cli {

class Alarm {
 public:
  Alarm();
  ~Alarm();  // SIGCHLD is as it was
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  void watch_directory(const std::string& directory);  // exists; twice is fine
  void ring();                                         // any thread
  static void ring_from_signal(int signal);  // of the process's alarm, if there is one; fit to be a signal's handler
  // What happened before it returns needs no further wait to be noticed; it may also return for nothing.
  void wait(std::chrono::milliseconds longest);

 private:
  int bell_ = -1, files_ = -1;
};

}  // namespace regroup::cli
