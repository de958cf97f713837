// Frozen names: an agent and a worker of one protocol version must read each other's messages.
#include "api/json_values.hpp"
#include "api/worker_protocol.hpp"
#include "base/json_fields.hpp"

namespace regroup {
namespace {

using json::Field;
using json::Json;

Json encode(const Welcome& m) {
  return {{"type", "welcome"},
          {"job", to_value(m.job)},
          {"self", to_string(m.self)},
          {"mesh_listen", m.mesh_listen},
          {"agent_address", m.agent_address},
          {"highest_epoch", m.highest_epoch.value},
          {"profile_file", m.profile_file},
          {"peer_memory", m.peer_memory},
          {"storage_proven", m.storage_proven},
          {"weights_doubted", m.weights_doubted},
          {"settings", m.settings}};
}
Json encode(const DialPeers& m) {
  return {{"type", "dial_peers"}, {"epoch", m.epoch.value}, {"peers", to_value(m.peers)}};
}
Json encode(const NewPlan& m) { return {{"type", "new_plan"}, {"plan", to_value(m.plan)}}; }
Json encode(const ArenaGrant& m) { return {{"type", "arena_grant"}, {"slot", m.slot}, {"bytes", m.bytes}}; }
Json encode(const SnapshotAnswer& m) {
  return {{"type", "snapshot_answer"},
          {"step", m.step.value},
          {"epoch", m.epoch.value},
          {"news", static_cast<int>(m.news)}};
}
Json encode(const StopWorker& m) { return {{"type", "stop_worker"}, {"reason", m.reason}}; }

ToWorker read_to_worker(const Field& in) {
  const std::string type = in["type"].string();
  if (type == "welcome") {
    const auto peer_memory = in.find("peer_memory");
    return Welcome{read_job(in["job"]),
                   in["self"].worker(),
                   in["mesh_listen"].string(),
                   in["agent_address"].string(),
                   in["highest_epoch"].id<Epoch>(),
                   in["profile_file"].string(),
                   !peer_memory || peer_memory->boolean(),
                   in["storage_proven"].boolean(),
                   in["weights_doubted"].boolean(),
                   in["settings"].string()};
  }
  if (type == "dial_peers") return DialPeers{in["epoch"].id<Epoch>(), read_participants(in["peers"])};
  if (type == "new_plan") return NewPlan{read_plan(in["plan"])};
  if (type == "arena_grant") return ArenaGrant{in["slot"].integer<int>(), in["bytes"].integer<std::int64_t>()};
  if (type == "snapshot_answer") {
    return SnapshotAnswer{in["step"].id<Step>(), in["epoch"].id<Epoch>(),
                          in["news"].number_of(SnapshotNews::kSaveEnded)};
  }
  if (type == "stop_worker") return StopWorker{in["reason"].string()};
  in["type"].fail("is '" + type + "', unknown to the worker");
}

}  // namespace

std::string to_json(const ToWorker& message) {
  return std::visit([](const auto& m) { return json::dump(encode(m)); }, message);
}

Result<ToWorker> to_worker_from_json(const std::string& text) {
  return json::read_json(text, "message to a worker", read_to_worker, Code::kCorrupt);
}

}  // namespace regroup
