// What a worker is told first, by a stand-in that writes down what comes over its socket.
#include "agent/workers.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>

namespace regroup::agent {
namespace {

class Scribe {
 public:
  Scribe() {
    char name[] = "/tmp/workers_test_XXXXXX";
    directory_ = ::mkdtemp(name);
    const std::string pipe = directory_ + "/heard";
    EXPECT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    pipe_ = ::open(pipe.c_str(), O_RDWR | O_CLOEXEC);  // both ends: it neither waits for the other nor ends
    std::ofstream(program()) << "#!/bin/sh\nexec cat <&3 >" << pipe << "\n";
    ::chmod(program().c_str(), 0700);
  }
  ~Scribe() {
    ::close(pipe_);
    std::filesystem::remove_all(directory_);
  }
  [[nodiscard]] std::string program() const { return directory_ + "/worker"; }
  [[nodiscard]] const std::string& directory() const { return directory_; }

  // The first frame; empty when it does not come.
  [[nodiscard]] std::string heard() const {
    std::uint32_t length = 0;
    const std::string header = read(sizeof length);
    if (header.size() < sizeof length) return {};
    std::memcpy(&length, header.data(), sizeof length);
    return read(length);
  }

 private:
  [[nodiscard]] std::string read(std::size_t size) const {
    std::string all(size, '\0');
    for (std::size_t have = 0; have < size;) {
      pollfd waiting{pipe_, POLLIN, 0};
      if (::poll(&waiting, 1, 30'000) != 1) return {};
      const ssize_t n = ::read(pipe_, all.data() + have, size - have);
      if (n <= 0) return {};
      have += static_cast<std::size_t>(n);
    }
    return all;
  }

  std::string directory_;
  int pipe_ = -1;
};

Welcome welcome_of(bool peer_memory) {
  const Scribe scribe;
  WorkersOptions options{scribe.program(), {}, "tcp:[::1]", scribe.directory(), "tcp:[::1]:7", peer_memory};
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

TEST(Workers, one_that_cannot_start_ends_with_the_loaders_words) {
  const Scribe scribe;
  std::ofstream(scribe.program())
      << "#!/bin/sh\necho 'worker: error while loading shared libraries: libx.so' >&2\nexit 127\n";
  std::promise<WorkerEnded> end;
  Workers workers({scribe.program(), {}, "tcp:[::1]", scribe.directory(), "tcp:[::1]:7", true},
                  {[](const WorkerSays&) {}, [&](const WorkerEnded& ended) { end.set_value(ended); }});
  StartWorker order;
  order.worker = {NodeId("n1"), 7, 0, 0};
  ASSERT_TRUE(workers.start(order));
  const WorkerEnded ended = end.get_future().get();
  EXPECT_EQ(ended.status, 127);
  EXPECT_EQ(ended.why, "worker: error while loading shared libraries: libx.so");
}

}  // namespace
}  // namespace regroup::agent
