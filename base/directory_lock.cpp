#include "base/directory_lock.hpp"

#include "base/hex.hpp"
#include "base/random_bytes.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace regroup {
namespace {

std::string host_name() {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  return host;
}

struct Holder {
  std::string pid;   // digits; empty: it has not said
  std::string host;  // empty: this one
  std::string what = "something goes on";
  std::string word;  // empty: it has written none
};

Holder holder_in(int fd) {
  char text[300] = "";
  const ssize_t size = ::pread(fd, text, sizeof text - 1, 0);
  std::istringstream said(std::string(text, size > 0 ? static_cast<std::size_t>(size) : 0));
  Holder holder;
  said >> holder.pid >> holder.host;
  if (std::string what; std::getline(said >> std::ws, what)) holder.what = what;
  std::getline(said, holder.word);
  if (holder.pid.find_first_not_of("0123456789") != std::string::npos) return {};
  if (holder.host == host_name()) holder.host.clear();
  return holder;
}

std::string to_string(const Holder& holder) {
  if (holder.pid.empty()) return "(it has not said its pid)";
  return "(pid " + holder.pid + (holder.host.empty() ? "" : " on " + holder.host) + ")";
}

// A process that was killed keeps its locks until the kernel has freed its memory.
bool is_ending(const Holder& holder) {
  if (!holder.host.empty() || holder.pid.empty()) return false;
  std::ifstream stat("/proc/" + holder.pid + "/stat");
  std::string line;
  if (!std::getline(stat, line)) return true;
  constexpr unsigned kExiting = 0x4;  // PF_EXITING
  std::istringstream after_name(line.substr(line.rfind(')') + 1));
  std::string state, parent, group, session, terminal, terminal_group;
  unsigned flags = 0;
  after_name >> state >> parent >> group >> session >> terminal >> terminal_group >> flags;
  return state == "Z" || (flags & kExiting) != 0;
}

constexpr std::chrono::milliseconds kForTheLiving{300};
constexpr std::chrono::milliseconds kForTheEnding{5000};

}  // namespace

Result<DirectoryLock> DirectoryLock::take(const std::string& directory, const std::string& what,
                                          const std::string& advice) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return Error{Code::kBadInput, "cannot make the directory " + directory + ": " + error.message()};
  const std::string path = directory + "/lock";
  DirectoryLock lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.fd_ < 0)
    return Error{Code::kBadInput, "cannot write into the directory " + directory + ": " + std::strerror(errno)};
  const auto begin = std::chrono::steady_clock::now();
  while (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return Error{Code::kBadInput, "cannot lock " + path + ": " + std::strerror(errno) +
                                        "; choose a directory whose file system has locks"};
    const Holder present = holder_in(lock.fd_);
    if (std::chrono::steady_clock::now() - begin >= (is_ending(present) ? kForTheEnding : kForTheLiving))
      return Error{Code::kConflict, present.what + " in " + directory + " " + to_string(present) + "; " + advice};
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  lock.word_before_ = holder_in(lock.fd_).word;
  lock.word_ = to_hex(random_bytes(8));
  const std::string said = std::to_string(::getpid()) + " " + host_name() + "\n" + what + "\n" + lock.word_ + "\n";
  // On a full disk it is held all the same, by nobody known.
  if (::ftruncate(lock.fd_, 0) == 0) (void)!::pwrite(lock.fd_, said.data(), said.size(), 0);
  return lock;
}

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace regroup
