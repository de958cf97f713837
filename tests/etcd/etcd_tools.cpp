#include "tests/etcd/etcd_tools.hpp"

#include "base/child.hpp"
#include "cli/etcd/loopback.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

namespace regroup::testing {

Result<std::string> etcdctl(const cli::EtcdProcess& etcd, const std::vector<std::string>& given) {
  std::vector<std::string> arguments{"/usr/bin/env", "etcdctl", "--endpoints=" + etcd.endpoint()};
  arguments.insert(arguments.end(), given.begin(), given.end());
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0)
    return Error{Code::kInternal, std::string("no pipe for etcdctl: ") + std::strerror(errno)};
  const auto pid = start_child({.arguments = std::move(arguments), .output = pipe_ends[1], .own_group = false});
  close(pipe_ends[1]);
  std::string output;
  char buffer[4096];
  for (ssize_t got = 0; (got = read(pipe_ends[0], buffer, sizeof buffer)) > 0;)
    output.append(buffer, static_cast<std::size_t>(got));
  close(pipe_ends[0]);
  int status = 0;
  if (!pid) return pid.error();
  if (waitpid(*pid, &status, 0) != *pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return Error{Code::kInternal, "etcdctl failed: " + output};
  return output;
}

Result<std::vector<std::unique_ptr<cli::EtcdProcess>>> start_etcd_cluster(int members) {
  const std::vector<int> ports = cli::free_ports(2 * members);
  if (static_cast<int>(ports.size()) < 2 * members)
    return Error{Code::kBadInput, "not enough free ports for an etcd cluster"};
  std::string cluster;
  for (int i = 0; i < members; ++i)
    cluster += (i == 0 ? "m" : ",m") + std::to_string(i) + "=http://127.0.0.1:" + std::to_string(ports[2 * i + 1]);
  std::vector<std::unique_ptr<cli::EtcdProcess>> all;
  for (int i = 0; i < members; ++i) {
    cli::EtcdProcessOptions options;
    options.name = "m" + std::to_string(i);
    options.client_port = ports[2 * i];
    options.peer_port = ports[2 * i + 1];
    options.initial_cluster = cluster;
    auto member = cli::EtcdProcess::launch(options);
    if (!member) return member.error();
    all.push_back(std::move(*member));
  }
  for (const auto& member : all) {
    const Result<void> ready = member->wait_ready();
    if (!ready) return ready.error();
  }
  return all;
}

}  // namespace regroup::testing
