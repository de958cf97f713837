// What a worker is told first, by a stand-in that writes down what comes over its socket.
#include "agent/workers.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

namespace regroup::agent {
namespace {

using namespace std::chrono_literals;

class Scribe {
 public:
  Scribe() {
    char name[] = "/tmp/workers_test_XXXXXX";
    directory_ = ::mkdtemp(name);
    std::ofstream(program()) << "#!/bin/sh\nexec cat <&3 >" << directory_ << "/heard\n";
    ::chmod(program().c_str(), 0700);
  }
  ~Scribe() { std::filesystem::remove_all(directory_); }
  [[nodiscard]] std::string program() const { return directory_ + "/worker"; }
  [[nodiscard]] const std::string& directory() const { return directory_; }

  // The first frame.
  [[nodiscard]] std::string heard() const {
    for (const auto until = std::chrono::steady_clock::now() + 30s; std::chrono::steady_clock::now() < until;) {
      std::ifstream in(directory_ + "/heard", std::ios::binary);
      const std::string all((std::istreambuf_iterator<char>(in)), {});
      std::uint32_t length = 0;
      if (all.size() > sizeof length) {
        all.copy(reinterpret_cast<char*>(&length), sizeof length);
        if (all.size() >= sizeof length + length) return all.substr(sizeof length, length);
      }
      std::this_thread::sleep_for(5ms);
    }
    return {};
  }

 private:
  std::string directory_;
};

Welcome welcome_of(bool peer_memory) {
  const Scribe scribe;
  WorkersOptions options{scribe.program(), "tcp:[::1]", scribe.directory(), "tcp:[::1]:7", peer_memory};
  Workers workers(options, {[](const WorkerSays&) {}, [](const WorkerEnded&) {}});
  StartWorker order;
  order.worker = {NodeId("n1"), 7, 0, 0};
  order.job.name = "tiny";
  EXPECT_TRUE(workers.start(order));
  const auto message = to_worker_from_json(scribe.heard());
  EXPECT_TRUE(message && std::holds_alternative<Welcome>(*message));
  return message ? std::get<Welcome>(*message) : Welcome{};
}

TEST(Workers, an_agent_without_peer_memory_tells_its_workers_so) {
  EXPECT_TRUE(welcome_of(true).peer_memory);
  EXPECT_FALSE(welcome_of(false).peer_memory);
}

TEST(Workers, a_worker_listens_at_the_agents_address_whatever_its_family) {
  EXPECT_EQ(welcome_of(true).mesh_listen, "tcp:[::1]:0");
}

}  // namespace
}  // namespace regroup::agent
