// world.hpp: meshes for tests: several ranks as threads of this process, or as forked processes, on Unix sockets in a
// directory of their own.
#pragma once

#include "mesh/mesh.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <thread>

namespace regroup::mesh::test {

using namespace std::chrono_literals;
inline constexpr auto kGenerous = 60s;  // deadline of what takes milliseconds on an idle machine

class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/mesh_test_XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TempDir() {
    if (::getpid() == owner_) std::filesystem::remove_all(path_);
  }
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
  pid_t owner_ = ::getpid();
};

inline WorkerId worker(int i) { return {NodeId{"n" + std::to_string(i)}, 7, 0, 0}; }

inline std::vector<Rank> all_ranks(int n) {
  std::vector<Rank> ranks;
  for (int i = 0; i < n; ++i) ranks.push_back(Rank{i});
  return ranks;
}

inline std::span<const std::byte> bytes_of(const std::vector<std::byte>& v) { return v; }

// Bytes that tell where they belong: a wrong offset or message shows.
inline std::vector<std::byte> pattern(std::size_t size, std::uint64_t seed) {
  std::vector<std::byte> out(size);
  std::uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;
  for (std::size_t i = 0; i < size; ++i) {
    if (i % 8 == 0) x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    out[i] = static_cast<std::byte>(x >> (i % 8 * 8));
  }
  return out;
}

// What a mesh told its owner.
struct Told {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::pair<WorkerId, Evidence>> lost;
  std::vector<std::string> story;  // in words, of whomever
  int connected = 0;

  Events events() {
    return {[this](const WorkerId& whom, Evidence evidence) {
              std::lock_guard lock(mutex);
              lost.emplace_back(whom, evidence);
              story.push_back(to_string(evidence));
              changed.notify_all();
            },
            [this](const WorkerId&) {
              std::lock_guard lock(mutex);
              ++connected;
              story.emplace_back("connected");
              changed.notify_all();
            }};
  }
  template <class F>
  bool wait_for(F condition, std::chrono::milliseconds timeout = kGenerous) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, timeout, condition);
  }
  int so_far(Evidence evidence) {
    std::lock_guard lock(mutex);
    return count(evidence);
  }
  int count(Evidence evidence) {  // under wait_for
    int n = 0;
    for (const auto& [whom, what] : lost) n += what == evidence;
    return n;
  }
};

struct World {
  explicit World(int n) {
    for (int i = 0; i < n; ++i) peers.push_back({worker(i), "unix:" + dir.file(std::to_string(i))});
  }
  [[nodiscard]] Options options(int i) const {
    Options o;
    o.self = peers[static_cast<std::size_t>(i)].id;
    o.listen = peers[static_cast<std::size_t>(i)].address;
    o.secret = "a secret";
    o.heartbeat = heartbeat;
    o.max_message_bytes = max_message_bytes;
    o.max_unmatched_bytes = max_unmatched_bytes;
    return o;
  }
  [[nodiscard]] std::unique_ptr<Mesh> open(int i, Events events = {}) const {
    auto mesh = Mesh::open(options(i), std::move(events));
    if (!mesh) ADD_FAILURE() << to_string(mesh.error());
    return mesh ? std::move(*mesh) : nullptr;
  }
  // Opens a mesh a thread; body(mesh, rank). All listen before anybody goes on, and all meshes live until every body is
  // done.
  void run(const std::function<void(Mesh&, int)>& body) const {
    const int n = static_cast<int>(peers.size());
    std::vector<std::unique_ptr<Mesh>> meshes;
    for (int i = 0; i < n; ++i) meshes.push_back(open(i));
    std::vector<std::thread> threads;
    for (int i = 0; i < n; ++i) threads.emplace_back([&, i] { body(*meshes[static_cast<std::size_t>(i)], i); });
    for (auto& thread : threads) thread.join();
  }

  TempDir dir;
  std::vector<Peer> peers;
  std::chrono::milliseconds heartbeat{200};
  std::size_t max_message_bytes = Options{}.max_message_bytes;
  std::size_t max_unmatched_bytes = Options{}.max_unmatched_bytes;
};

// A child process that runs body and exits with its status; killed and reaped at the end of the test.
class Child {
 public:
  explicit Child(const std::function<int()>& body) : pid_(::fork()) {
    if (pid_ == 0) ::_exit(body());
  }
  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  void signal(int number) const { ::kill(pid_, number); }
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

// Connects to everybody, whoever listens first: a process that enters before another listens would find it dead.
inline bool meet(Mesh& mesh, const World& world) {
  mesh.warm(world.peers);
  for (int i = 0; i < 60'000; ++i) {
    bool all = true;
    for (const Peer& peer : world.peers) all = all && (mesh.address() == peer.address || mesh.connected(peer.id));
    if (all) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

// A byte from one process to another, or to several: `tell(n)` n times, `await()` once each.
class Signal {
 public:
  Signal() { EXPECT_EQ(::pipe(ends_), 0); }
  ~Signal() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  void tell(int times = 1) const {
    for (int i = 0; i < times; ++i) EXPECT_EQ(::write(ends_[1], "x", 1), 1);
  }
  void await() const {  // who should tell may have failed, and said why
    pollfd told{ends_[0], POLLIN, 0};
    ASSERT_EQ(::poll(&told, 1, std::chrono::milliseconds(kGenerous).count()), 1) << "nobody told";
    char byte = 0;
    EXPECT_EQ(::read(ends_[0], &byte, 1), 1);
  }

 private:
  int ends_[2];
};

#define MESH_OK(expression)                                           \
  do {                                                                \
    const auto& mesh_ok_result = (expression);                        \
    ASSERT_TRUE(mesh_ok_result) << to_string(mesh_ok_result.error()); \
  } while (false)

}  // namespace regroup::mesh::test
