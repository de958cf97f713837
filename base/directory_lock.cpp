#include "base/directory_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

namespace regroup {
namespace {

std::string host_name() {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  return host;
}

// "(pid 7)", or "(pid 7 on HOST)": a directory may be another machine's, too.
std::string holder_in(int fd) {
  char text[300] = "";
  const ssize_t size = ::pread(fd, text, sizeof text - 1, 0);
  const std::string said(text, size > 0 ? static_cast<std::size_t>(size) : 0);
  const auto blank = said.find(' ');
  const std::string pid = said.substr(0, blank);
  if (pid.empty() || pid.find_first_not_of("0123456789") != std::string::npos) return "(it has not said its pid)";
  const std::string host = blank == std::string::npos ? "" : said.substr(blank + 1, said.find('\n') - blank - 1);
  return "(pid " + pid + (host.empty() || host == host_name() ? "" : " on " + host) + ")";
}

}  // namespace

Result<DirectoryLock> DirectoryLock::take(const std::string& directory, const std::string& holder,
                                          const std::string& advice, std::chrono::milliseconds patience) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return Error{Code::kBadInput, "cannot make the directory " + directory + ": " + error.message()};
  const std::string path = directory + "/lock";
  DirectoryLock lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.fd_ < 0)
    return Error{Code::kBadInput, "cannot write into the directory " + directory + ": " + std::strerror(errno)};
  const auto until = std::chrono::steady_clock::now() + patience;
  while (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return Error{Code::kBadInput, "cannot lock " + path + ": " + std::strerror(errno)};
    if (std::chrono::steady_clock::now() >= until)
      return Error{Code::kConflict, holder + " in " + directory + " " + holder_in(lock.fd_) + "; " + advice};
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const std::string said = std::to_string(::getpid()) + " " + host_name() + "\n";
  // On a full disk it is held all the same, by nobody known.
  if (::ftruncate(lock.fd_, 0) == 0) (void)!::pwrite(lock.fd_, said.data(), said.size(), 0);
  return lock;
}

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace regroup
