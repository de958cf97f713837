// fake_agent.hpp: an agent's peer port that lists what it is given and answers as a test tells it to.
#pragma once

#include "api/json_values.hpp"
#include "api/snapshots/peer_wire.hpp"
#include "base/json_fields.hpp"
#include "moe/state/shards.hpp"
#include "net/address.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <list>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace regroup::testing {

enum class Reply { kServe, kError, kWrongChecksum, kEndOfStream, kSilence, kRefusal };

class FakeAgent {
 public:
  // What it keeps of `step`, and what those blocks hold.
  FakeAgent(const std::string& address, std::string secret, Step step, std::vector<HeldBlocks> keeps,
            std::function<Shard(int unit, Interval blocks)> content)
      : secret_(std::move(secret)), step_(step), keeps_(std::move(keeps)), content_(std::move(content)) {
    auto listening = listen_on(address, Buffers::kSystem);
    if (!listening) throw std::runtime_error(to_string(listening.error()));
    listening_ = std::move(*listening);
    acceptor_ = std::thread([this] { accept_loop(); });
  }
  ~FakeAgent() {
    stop_listening();
    over_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  FakeAgent(const FakeAgent&) = delete;
  FakeAgent& operator=(const FakeAgent&) = delete;

  [[nodiscard]] const std::string& address() const { return listening_.address; }

  std::function<Reply(int unit)> on_fetch = [](int) { return Reply::kServe; };
  std::function<Reply()> on_list = [] { return Reply::kServe; };
  std::atomic<int> fetches = 0;

 private:
  void stop_listening() {
    if (closed_.exchange(true)) return;
    acceptor_.join();
    close_listening(listening_);
  }
  void accept_loop() {
    while (!closed_) {
      pollfd entry{listening_.fd, POLLIN, 0};
      if (::poll(&entry, 1, 10) <= 0) continue;
      const int fd = ::accept4(listening_.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd < 0) continue;
      if (refuses_)
        ::close(fd);
      else
        threads_.emplace_back([this, fd] { serve(fd); });
    }
  }
  void serve(int fd) {
    PeerSocket socket(fd, std::chrono::seconds(30));
    if (!admit_client(socket, [this](const std::string&) { return secret_; })) return;
    for (;;) {
      pollfd entry{fd, POLLIN, 0};
      while (!over_ && ::poll(&entry, 1, 10) == 0) {
      }
      if (over_) return;
      const auto request = socket.read_frame(kPeerMaxFrame);
      if (!request || !answer(socket, json::Json::parse(*request))) return;
    }
  }
  bool answer(PeerSocket& socket, const json::Json& request) {
    const bool lists = request["do"] == "list";
    if (!lists) ++fetches;
    switch (lists ? on_list() : on_fetch(request["unit"])) {
      case Reply::kServe:
        return lists ? list(socket) : send(socket, request, 0);
      case Reply::kError:
        return static_cast<bool>(socket.write_frame(error_json({Code::kCorrupt, "torn"})));
      case Reply::kWrongChecksum:
        return send(socket, request, 1);
      case Reply::kRefusal:
        refuses_ = true;
        return false;
      case Reply::kEndOfStream:
        return false;
      case Reply::kSilence:
        while (!over_) std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return false;
    }
    return false;
  }
  bool list(PeerSocket& socket) {
    json::Json entries = json::Json::array();
    for (const HeldBlocks& held : keeps_)
      for (const Interval& blocks : held.blocks.intervals()) entries.push_back({held.unit, blocks.lo, blocks.hi});
    const json::Json one{{"taken_by", "n/1/0/0"},
                         {"step", step_.value},
                         {"epoch", 1},
                         {"bad", to_value(BadSteps{})},
                         {"entries", std::move(entries)}};
    return static_cast<bool>(socket.write_frame(json::Json{{"snapshots", json::Json::array({one})}}.dump()));
  }
  bool send(PeerSocket& socket, const json::Json& request, std::uint64_t off_by) {
    const Interval blocks{request["lo"], request["hi"]};
    const Shard shard = content_(request["unit"], blocks);
    auto sums = block_checksums(shard.state.data(), blocks.size(), shard.block_elements);
    sums.front() += off_by;
    return socket.write_frame(json::Json{{"ok", true}, {"bytes", shard.state.span().size_bytes()}}.dump()) &&
           socket.write({{sums.data(), sums.size() * sizeof(std::uint64_t)},
                         {shard.state.data(), shard.state.span().size_bytes()}});
  }

  const std::string secret_;
  const Step step_;
  const std::vector<HeldBlocks> keeps_;
  const std::function<Shard(int, Interval)> content_;
  ListeningSocket listening_;
  std::atomic<bool> closed_ = false, over_ = false, refuses_ = false;
  std::list<std::thread> threads_;  // of the acceptor, until it has ended
  std::thread acceptor_;
};

}  // namespace regroup::testing
