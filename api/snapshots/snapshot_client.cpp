#include "api/snapshots/snapshot_client.hpp"

#include "api/bad_steps_json.hpp"
#include "api/snapshots/peer_wire.hpp"

#include <nlohmann/json.hpp>

namespace regroup {
namespace {

using nlohmann::json;

class Client final : public SnapshotClient {
 public:
  Client(PeerSocket socket, std::string who) : socket_(std::move(socket)), who_(std::move(who)) {}

  Result<std::vector<HeldSnapshot>> list() override {
    auto reply = ask(json{{"do", "list"}}.dump());
    if (!reply) return reply.error();
    try {
      std::vector<HeldSnapshot> out;
      const auto value = json::parse(*reply);
      for (const auto& held : value.at("snapshots")) {
        HeldSnapshot one;
        if (!parse_worker_id(held.at("taken_by").get<std::string>(), one.taken_by))
          throw std::runtime_error("no worker id");
        one.info.step = Step(held.at("step").get<std::int64_t>());
        one.info.epoch = Epoch(held.at("epoch").get<std::uint64_t>());
        one.info.bad = bad_from(held.at("bad"));
        for (const auto& e : held.at("entries"))
          one.info.entries.push_back({e.at(0).get<int>(), {e.at(1).get<int>(), e.at(2).get<int>()}, 0});
        out.push_back(std::move(one));
      }
      return out;
    } catch (const std::exception& e) {
      return Error{Code::kCorrupt, who_ + " listed its snapshots in a form we do not read: " + e.what()};
    }
  }

  Result<void> fetch(Step step, int unit, Interval blocks, std::span<float> into) override {
    const auto pieces = static_cast<std::size_t>(std::max(blocks.size(), 0)) * 3;
    if (pieces == 0 || into.size() % pieces != 0)
      return Error{Code::kBadInput, "fetch needs 3 * blocks * block_elements floats of room"};
    auto reply =
        ask(json{{"do", "fetch"}, {"step", step.value}, {"unit", unit}, {"lo", blocks.lo}, {"hi", blocks.hi}}.dump());
    if (!reply) return reply.error();
    const auto value = json::parse(*reply, nullptr, false);
    const std::size_t bytes =
        value.contains("bytes") && value["bytes"].is_number_unsigned() ? value["bytes"].get<std::size_t>() : 0;
    if (bytes != into.size_bytes()) {
      broken_ = true;  // what follows on the stream is not what we have room for
      return Error{Code::kCorrupt, who_ + " has blocks of another size: " + std::to_string(bytes) +
                                       " bytes instead of " + std::to_string(into.size_bytes())};
    }
    std::vector<std::uint64_t> promised(pieces);
    auto got = socket_.read(promised.data(), promised.size() * sizeof(std::uint64_t));
    if (got) got = socket_.read(into.data(), into.size_bytes());
    if (!got) {
      broken_ = true;
      return got.error().within("fetching from " + who_);
    }
    if (block_checksums(into.data(), blocks.size(), static_cast<std::int64_t>(into.size() / pieces)) != promised)
      return Error{Code::kCorrupt, who_ + ": blocks " + std::to_string(blocks.lo) + ".." + std::to_string(blocks.hi) +
                                       " of unit " + std::to_string(unit) + " at step " + std::to_string(step.value) +
                                       " do not match their checksums"};
    return {};
  }

 private:
  Result<std::string> ask(const std::string& request) {
    if (broken_) return Error{Code::kPeerLost, who_ + ": the connection broke earlier; connect again"};
    auto sent = socket_.write_frame(request);
    auto reply = sent ? socket_.read_frame(kPeerMaxFrame) : Result<std::string>(sent.error());
    if (!reply) {
      broken_ = true;
      return reply.error().within("asking " + who_);
    }
    auto refused = error_from_json(*reply, who_);
    if (!refused) return refused.error();
    return reply;
  }

  PeerSocket socket_;
  std::string who_;
  bool broken_ = false;
};

}  // namespace

Result<std::unique_ptr<SnapshotClient>> SnapshotClient::connect(const std::string& agent_address,
                                                                const std::string& job, const std::string& secret,
                                                                std::chrono::milliseconds timeout) {
  auto socket = PeerSocket::dial(agent_address, timeout);
  if (!socket) return socket.error();
  auto proved = prove_to_server(*socket, job, secret);
  if (!proved) return proved.error().within(agent_address);
  return std::unique_ptr<SnapshotClient>(std::make_unique<Client>(std::move(*socket), "the agent at " + agent_address));
}

}  // namespace regroup
