#include "api/snapshots/snapshot_client.hpp"

#include "api/json_values.hpp"
#include "api/snapshots/peer_wire.hpp"
#include "base/json_fields.hpp"

namespace regroup {
namespace {

using json::Field;
using json::Json;

std::vector<HeldSnapshot> read_listing(const Field& in) {
  std::vector<HeldSnapshot> out;
  for (const Field& held : in["snapshots"].items()) {
    HeldSnapshot& one = out.emplace_back();
    one.taken_by = held["taken_by"].worker();
    one.info.step = held["step"].id<Step>();
    one.info.epoch = held["epoch"].id<Epoch>();
    one.info.bad = read_bad_steps(held["bad"]);
    one.info.entries = read_entries(held["entries"]);
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<SnapshotClient>> SnapshotClient::connect(const std::string& agent_address,
                                                                const std::string& job, const std::string& secret,
                                                                std::chrono::milliseconds timeout) {
  auto socket = PeerSocket::dial(agent_address, timeout);
  if (!socket) return socket.error();
  auto proved = prove_to_server(*socket, job, secret);
  if (!proved) return proved.error().within(agent_address);
  return std::unique_ptr<SnapshotClient>(new SnapshotClient(std::move(*socket), "the agent at " + agent_address));
}

Result<std::vector<HeldSnapshot>> SnapshotClient::list() {
  auto reply = ask(Json{{"do", "list"}}.dump());
  if (!reply) return reply.error();
  return json::read_json(*reply, who_ + " lists its snapshots", read_listing, Code::kCorrupt);
}

Result<void> SnapshotClient::fetch(Step step, int unit, Interval blocks, std::span<float> into) {
  const auto pieces = static_cast<std::size_t>(std::max(blocks.size(), 0)) * 3;
  if (pieces == 0 || into.size() % pieces != 0)
    return Error{Code::kBadInput, "fetch needs 3 * blocks * block_elements floats of room"};
  auto reply =
      ask(Json{{"do", "fetch"}, {"step", step.value}, {"unit", unit}, {"lo", blocks.lo}, {"hi", blocks.hi}}.dump());
  if (!reply) return reply.error();
  const auto bytes = json::read_json(
      *reply, who_ + " sends blocks", [](const Field& in) { return in["bytes"].integer<std::size_t>(); },
      Code::kCorrupt);
  if (!bytes || *bytes != into.size_bytes()) {
    broken_ = true;  // what follows on the stream is not what we have room for
    if (!bytes) return bytes.error();
    return Error{Code::kCorrupt, who_ + " has blocks of another size: " + std::to_string(*bytes) +
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

Result<std::string> SnapshotClient::ask(const std::string& request) {
  if (broken_) return Error{Code::kPeerLost, who_ + ": the connection broke earlier; connect again"};
  auto sent = socket_.write_frame(request);
  auto reply = sent ? read_reply(socket_) : Result<std::string>(sent.error());
  if (!reply) {
    broken_ = true;
    return reply.error().within("asking " + who_);
  }
  auto refused = error_from_json(*reply, who_);
  if (!refused) return refused.error();
  return reply;
}

}  // namespace regroup
