// Frozen names: an agent and a worker of one protocol version must read each other's messages.
#include "api/json_values.hpp"
#include "api/worker_protocol.hpp"
#include "base/json_fields.hpp"

namespace regroup {
namespace {

using json::Field;
using json::Json;

// [[unit, lo, hi, offset], ...]
Json entries_value(const std::vector<SnapshotEntry>& entries) {
  Json out = Json::array();
  for (const auto& e : entries) out.push_back({e.unit, e.blocks.lo, e.blocks.hi, e.offset});
  return out;
}

std::vector<SnapshotEntry> read_placed_entries(const Field& in) {
  std::vector<SnapshotEntry> out;
  for (const Field& entry : in.items()) {
    const auto n = entry.items(4);
    out.push_back({n[0].integer<int>(), {n[1].integer<int>(), n[2].integer<int>()}, n[3].integer<std::int64_t>()});
  }
  return out;
}

Json info_value(const SnapshotInfo& info) {
  return {{"step", info.step.value}, {"epoch", info.epoch.value},
          {"slot", info.slot},       {"entries", entries_value(info.entries)},
          {"safe", info.safe.value}, {"bad", to_value(info.bad)}};
}

SnapshotInfo read_info(const Field& in) {
  return {in["step"].id<Step>(),     in["epoch"].id<Epoch>(),
          in["slot"].integer<int>(), read_placed_entries(in["entries"]),
          in["safe"].id<Step>(),     read_bad_steps(in["bad"])};
}

Json encode(const Hello& m) {
  return {{"type", "hello"}, {"address", m.address}, {"pid", m.pid}, {"fingerprint", m.fingerprint}};
}
Json encode(const StateChanged& m) {
  return {{"type", "state_changed"},
          {"state", static_cast<int>(m.state)},
          {"epoch", m.epoch.value},
          {"text", m.text},
          {"lacks", m.lacks}};
}
Json encode(const Suspects& m) {
  return {{"type", "suspects"}, {"epoch", m.epoch.value}, {"suspicions", to_value(m.suspicions)}};
}
Json phases_value(const std::map<StepPhase, double>& phases) {
  Json out = Json::object();
  for (const auto& [phase, seconds] : phases) out[to_string(phase)] = seconds;
  return out;
}
Json encode(const Committed& m) {
  const CommitReport& r = m.report;
  return {
      {"type", "committed"},      {"epoch", r.epoch.value},           {"step", r.step.value},
      {"loss", r.loss},           {"aux_loss", r.aux_loss},           {"z_loss", r.z_loss},
      {"grad_norm", r.grad_norm}, {"learning_rate", r.learning_rate}, {"tokens", r.tokens},
      {"seconds", r.seconds},     {"phases", phases_value(r.phases)}, {"expert_load", r.expert_load},
      {"rank_load", r.rank_load}, {"bad", to_value(r.bad)},           {"checkpoint_left_out", r.checkpoint_left_out}};
}
Json encode(const Regrouped& m) {
  const RegroupReport& r = m.report;
  return {{"type", "regrouped"},
          {"epoch", r.epoch.value},
          {"cause", kCauseWords(r.cause)},
          {"members", r.members},
          {"step", r.step.value},
          {"source", kStateSourceWords(r.source)},
          {"reason", r.reason},
          {"stop_ms", r.stop_ms},
          {"agree_ms", r.agree_ms},
          {"move_ms", r.move_ms},
          {"first_commit_ms", r.first_commit_ms},
          {"bytes_moved", r.bytes_moved},
          {"bytes_from_own_agent", r.bytes_from_own_agent},
          {"plan_seen_at_ms", r.plan_seen_at_ms},
          {"steps_lost", r.steps_lost}};
}
Json encode(const NeedArena& m) { return {{"type", "need_arena"}, {"slots", m.slots}, {"bytes", m.bytes}}; }
Json encode(const SnapshotTaken& m) {
  return {{"type", "snapshot_taken"},
          {"info", info_value(m.info)},
          {"make_durable", m.make_durable},
          {"num_parts", m.num_parts},
          {"part", m.part},
          {"to_write", entries_value(m.to_write)},
          {"group", m.group}};
}
Json encode(const Stopped& m) { return {{"type", "stopped"}, {"epoch", m.epoch.value}, {"step", m.step.value}}; }
Json encode(const Finished& m) {
  return {{"type", "finished"}, {"step", m.step.value}, {"weights_sha256", m.weights_sha256}, {"is_saved", m.is_saved}};
}
Json encode(const Validated& m) {
  return {{"type", "validated"}, {"epoch", m.epoch.value}, {"step", m.step.value},
          {"loss", m.loss},      {"targets", m.targets},   {"seconds", m.seconds}};
}
Json encode(const GaveUp& m) { return {{"type", "gave_up"}, {"step", m.step.value}, {"reason", m.reason}}; }
Json encode(const WeightsRefused&) { return {{"type", "weights_refused"}}; }
Json encode(const Fault& m) { return {{"type", "fault"}, {"text", m.text}}; }

CommitReport read_commit(const Field& in) {
  CommitReport r;
  r.epoch = in["epoch"].id<Epoch>();
  r.step = in["step"].id<Step>();
  r.loss = in["loss"].real_or_nan();
  r.aux_loss = in["aux_loss"].real_or_nan();
  r.z_loss = in["z_loss"].real_or_nan();
  r.grad_norm = in["grad_norm"].real_or_nan();
  r.bad = read_bad_steps(in["bad"]);
  r.learning_rate = in["learning_rate"].real_or_nan();
  r.tokens = in["tokens"].integer<std::int64_t>();
  r.seconds = in["seconds"].real_or_nan();
  for (const auto& [word, seconds] : in["phases"].members()) {
    const auto phase = kStepPhaseWords.find(word);
    if (!phase) seconds.fail("is of an unknown phase");
    r.phases[*phase] = seconds.real_or_nan();
  }
  r.expert_load = in["expert_load"].integers<std::int64_t>();
  r.rank_load = in["rank_load"].real_or_nan();
  r.checkpoint_left_out = in["checkpoint_left_out"].boolean();
  return r;
}

RegroupReport read_regroup(const Field& in) {
  RegroupReport r;
  r.epoch = in["epoch"].id<Epoch>();
  r.cause = in["cause"].word(kCauseWords);
  r.members = in["members"].integer<int>();
  r.step = in["step"].id<Step>();
  r.source = in["source"].word(kStateSourceWords);
  r.reason = in["reason"].string();
  r.stop_ms = in["stop_ms"].real_or_nan();
  r.agree_ms = in["agree_ms"].real_or_nan();
  r.move_ms = in["move_ms"].real_or_nan();
  r.first_commit_ms = in["first_commit_ms"].real_or_nan();
  r.bytes_moved = in["bytes_moved"].integer<std::int64_t>();
  r.bytes_from_own_agent = in["bytes_from_own_agent"].integer<std::int64_t>();
  r.plan_seen_at_ms = in["plan_seen_at_ms"].integer<std::int64_t>();
  r.steps_lost = in["steps_lost"].integer<std::int64_t>();
  return r;
}

FromWorker read_from_worker(const Field& in) {
  const std::string type = in["type"].string();
  if (type == "hello") return Hello{in["address"].string(), in["pid"].integer<int>(), in["fingerprint"].string()};
  if (type == "state_changed") {
    return StateChanged{in["state"].number_of(WorkerState::kFailed), in["epoch"].id<Epoch>(), in["text"].string(),
                        in["lacks"].boolean()};
  }
  if (type == "suspects") return Suspects{in["epoch"].id<Epoch>(), read_suspicions(in["suspicions"])};
  if (type == "committed") return Committed{read_commit(in)};
  if (type == "regrouped") return Regrouped{read_regroup(in)};
  if (type == "need_arena") return NeedArena{in["slots"].integer<int>(), in["bytes"].integer<std::int64_t>()};
  if (type == "snapshot_taken") {
    return SnapshotTaken{read_info(in["info"]),     in["make_durable"].boolean(),        in["num_parts"].integer<int>(),
                         in["part"].integer<int>(), read_placed_entries(in["to_write"]), in["group"].integer<int>()};
  }
  if (type == "validated") {
    return Validated{in["epoch"].id<Epoch>(), in["step"].id<Step>(), in["loss"].real_or_nan(),
                     in["targets"].integer<std::int64_t>(), in["seconds"].real_or_nan()};
  }
  if (type == "gave_up") return GaveUp{in["step"].id<Step>(), in["reason"].string()};
  if (type == "finished")
    return Finished{in["step"].id<Step>(), in["weights_sha256"].string(), in["is_saved"].boolean()};
  if (type == "stopped") return Stopped{in["epoch"].id<Epoch>(), in["step"].id<Step>()};
  if (type == "weights_refused") return WeightsRefused{};
  if (type == "fault") return Fault{in["text"].string()};
  in["type"].fail("is '" + type + "', unknown to the agent");
}

}  // namespace

std::string to_json(const FromWorker& message) {
  return std::visit([](const auto& m) { return json::dump(encode(m)); }, message);
}

Result<FromWorker> from_worker_from_json(const std::string& text) {
  return json::read_json(text, "message of a worker", read_from_worker, Code::kCorrupt);
}

}  // namespace regroup
