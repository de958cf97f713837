// directories.hpp: the two directories of an agent: its own, and the one where its sockets lie.
#pragma once

#include "base/directory_lock.hpp"

#include <string>

namespace regroup::agent {

// Made if it is not there, and locked for as long as the lock lives. kBadInput: it cannot be written; kConflict:
// another agent runs there.
Result<DirectoryLock> take_directory(const std::string& directory);

// Of the sockets (net/socket_directory.hpp). One in /tmp is made here and goes with this object.
class SocketDirectory {
 public:
  explicit SocketDirectory(const std::string& directory);  // the agent's own
  ~SocketDirectory();
  SocketDirectory(const SocketDirectory&) = delete;
  SocketDirectory& operator=(const SocketDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  const std::string path_;
  const bool temporary_;
};

}  // namespace regroup::agent
