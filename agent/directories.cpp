#include "agent/directories.hpp"

#include "net/socket_directory.hpp"

#include <sys/stat.h>

#include <filesystem>

namespace regroup::agent {

namespace fs = std::filesystem;

Result<DirectoryLock> take_directory(const std::string& directory) {
  return DirectoryLock::take(directory, "an agent runs", "give each its own --dir");
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
