#include "agent/directories.hpp"

#include "net/socket_directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

namespace regroup::agent {
namespace {

namespace fs = std::filesystem;

}  // namespace

Result<void> take_directory(const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return Error{Code::kBadInput, "cannot make --dir " + directory + ": " + error.message()};
  const std::string lock = directory + "/lock";
  const int fd = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return Error{Code::kBadInput, "cannot write into --dir " + directory + ": " + std::strerror(errno)};
  // A predecessor that was killed holds the lock until the kernel has freed its memory.
  for (int tries = 0; ::flock(fd, LOCK_EX | LOCK_NB) != 0; ++tries) {
    if (tries == 50) return Error{Code::kConflict, "another agent runs in " + directory + "; give each its own --dir"};
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return {};
}

SocketDirectory::SocketDirectory(const std::string& directory)
    : path_(socket_directory(directory)), temporary_(path_ != directory) {
  if (!temporary_) return;
  std::error_code error;
  fs::create_directories(path_, error);
  ::chmod(path_.c_str(), 0700);
}

SocketDirectory::~SocketDirectory() {
  std::error_code error;
  if (temporary_) fs::remove_all(path_, error);
}

}  // namespace regroup::agent
