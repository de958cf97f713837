// networks.hpp: ranks in network namespaces of their own, joined by a bridge in the test's. All of them are anonymous
// and end with the last process in them: nothing to clean up.
#pragma once

#include "tests/mesh/world.hpp"

#include <sched.h>
#include <sys/prctl.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace regroup::mesh::test {

// The calling thread and what it starts from now on see a network without any link. "" or why this is not permitted.
inline std::string enter_new_network() {
  if (::unshare(CLONE_NEWNET) == 0) return "";
  const uid_t uid = ::getuid();
  const gid_t gid = ::getgid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
    return std::string("a new network namespace: ") + std::strerror(errno);
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << "0 " << uid << " 1";
  std::ofstream("/proc/self/gid_map") << "0 " << gid << " 1";
  return "";
}

inline bool ip(const std::string& arguments) { return std::system(("ip " + arguments).c_str()) == 0; }

// Rank 0 is the test's own process, at 10.77.0.1; rank i > 0 a child at 10.77.0.<i+1>, on the link v<i>.
class Networks {
 public:
  explicit Networks(int n) : world(n) {
    for (int i = 0; i < n; ++i) world.peers[static_cast<std::size_t>(i)].address = "tcp:" + host(i) + ":41000";
    problem_ = enter_new_network();
    if (problem_.empty() && !(ip("link set lo up") && ip("link add bridge0 type bridge") &&
                              ip("address add " + host(0) + "/24 dev bridge0") && ip("link set bridge0 up")))
      problem_ = "no bridge can be made (see `ip` above)";
  }
  // Why there are no networks here; "" = there are.
  [[nodiscard]] const std::string& problem() const { return problem_; }

  // Starts rank i; `body` runs once its link is up.
  std::unique_ptr<Child> start(int i, const std::function<int()>& body) {
    Signal made, linked;
    auto child = std::make_unique<Child>([&] {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const bool alone = ::unshare(CLONE_NEWNET) == 0;
      made.tell();
      linked.await();
      if (!alone || !ip("link set lo up") || !ip("address add " + host(i) + "/24 dev eth0") || !ip("link set eth0 up"))
        return 100;
      return body();
    });
    made.await();
    const std::string link = "v" + std::to_string(i);
    EXPECT_TRUE(ip("link add " + link + " type veth peer name eth0 netns " + std::to_string(child->pid())));
    EXPECT_TRUE(ip("link set " + link + " master bridge0 up"));
    linked.tell();
    return child;
  }
  void cut(int i) const { EXPECT_TRUE(ip("link set v" + std::to_string(i) + " down")); }
  void mend(int i) const { EXPECT_TRUE(ip("link set v" + std::to_string(i) + " up")); }

  World world;

 private:
  static std::string host(int i) { return "10.77.0." + std::to_string(i + 1); }
  std::string problem_;
};

}  // namespace regroup::mesh::test
