// socket_directory.hpp: where the Unix sockets of an agent and its workers lie.
//
// In the agent's own directory; but the path of a socket has at most 107 characters, so a deep directory gets a short
// one in /tmp, named by user and directory: the next agent there finds what a killed one left. The agent removes it
// when it ends; whoever kills an agent for good must remove it. Any thread.
#pragma once

#include <sys/un.h>
#include <unistd.h>

#include <functional>
#include <string>

namespace regroup {

inline bool sockets_fit(const std::string& directory) {
  return directory.size() + std::string("/w00.000000").size() < sizeof(sockaddr_un::sun_path);
}

inline std::string socket_directory(const std::string& directory) {
  return sockets_fit(directory)
             ? directory
             : "/tmp/regroup-" + std::to_string(::getuid()) + "-" + std::to_string(std::hash<std::string>{}(directory));
}

}  // namespace regroup
