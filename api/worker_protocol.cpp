// Frozen names: an agent and a worker of one protocol version must read each other's messages.
#include "api/worker_protocol.hpp"

#include "api/bad_steps_json.hpp"

#include <nlohmann/json.hpp>

#include <limits>

namespace regroup {
namespace {

using nlohmann::json;

Error bad(const std::string& what) { return {Code::kCorrupt, "message between agent and worker: " + what}; }

// JSON has no NaN; a loss may be one. nlohmann writes it as null.
double number(const json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

WorkerId worker_id(const json& value) {
  WorkerId id;
  if (!parse_worker_id(value.get<std::string>(), id))
    throw std::runtime_error("'" + value.get<std::string>() + "' is no worker id");
  return id;
}

template <class Enum, std::size_t N>
Enum word(const json& object, const char* field, const Words<Enum, N>& words) {
  const auto& text = object.at(field).get_ref<const std::string&>();
  if (const auto known = words.find(text)) return *known;
  throw std::runtime_error(std::string(field) + " '" + text + "' is unknown");
}

json entries_json(const std::vector<SnapshotEntry>& entries) {
  json out = json::array();
  for (const auto& e : entries) out.push_back({e.unit, e.blocks.lo, e.blocks.hi, e.offset});
  return out;
}

std::vector<SnapshotEntry> entries_from(const json& value) {
  std::vector<SnapshotEntry> out;
  for (const auto& e : value)
    out.push_back({e.at(0).get<int>(), {e.at(1).get<int>(), e.at(2).get<int>()}, e.at(3).get<std::int64_t>()});
  return out;
}

json info_json(const SnapshotInfo& info) {
  return {{"step", info.step.value}, {"epoch", info.epoch.value},
          {"slot", info.slot},       {"entries", entries_json(info.entries)},
          {"safe", info.safe.value}, {"bad", bad_json(info.bad)}};
}

SnapshotInfo info_from(const json& v) {
  return {Step(v.at("step").get<std::int64_t>()), Epoch(v.at("epoch").get<std::uint64_t>()), v.at("slot").get<int>(),
          entries_from(v.at("entries")),          Step(v.at("safe").get<std::int64_t>()),    bad_from(v.at("bad"))};
}

json participant_json(const Participant& p) {
  return {{"worker", to_string(p.worker)}, {"address", p.address}, {"agent_address", p.agent_address}};
}

json encode(const Welcome& m) {
  return {{"type", "welcome"},
          {"job", json::parse(to_json(m.job))},
          {"self", to_string(m.self)},
          {"mesh_listen", m.mesh_listen},
          {"agent_address", m.agent_address},
          {"highest_epoch", m.highest_epoch.value},
          {"profile_file", m.profile_file},
          {"peer_memory", m.peer_memory}};
}
json encode(const DialPeers& m) {
  json peers = json::array();
  for (const auto& p : m.peers) peers.push_back(participant_json(p));
  return {{"type", "dial_peers"}, {"epoch", m.epoch.value}, {"peers", std::move(peers)}};
}
json encode(const NewPlan& m) { return {{"type", "new_plan"}, {"plan", json::parse(to_json(m.plan))}}; }
json encode(const ArenaGrant& m) { return {{"type", "arena_grant"}, {"slot", m.slot}, {"bytes", m.bytes}}; }
json encode(const SnapshotAnswer& m) {
  return {{"type", "snapshot_answer"},
          {"step", m.step.value},
          {"epoch", m.epoch.value},
          {"news", static_cast<int>(m.news)}};
}
json encode(const StopWorker& m) { return {{"type", "stop_worker"}, {"reason", m.reason}}; }

json encode(const Hello& m) {
  return {{"type", "hello"}, {"address", m.address}, {"pid", m.pid}, {"fingerprint", m.fingerprint}};
}
json encode(const StateChanged& m) {
  return {{"type", "state_changed"}, {"state", static_cast<int>(m.state)}, {"epoch", m.epoch.value}, {"text", m.text}};
}
json encode(const Suspects& m) {
  json list = json::array();
  for (const auto& s : m.suspicions)
    list.push_back(
        {{"whom", to_string(s.whom)}, {"evidence", kEvidenceWords(s.evidence)}, {"seen_at_ms", s.seen_at_ms}});
  return {{"type", "suspects"}, {"epoch", m.epoch.value}, {"suspicions", std::move(list)}};
}
json encode(const Committed& m) {
  const CommitReport& r = m.report;
  return {{"type", "committed"},
          {"epoch", r.epoch.value},
          {"step", r.step.value},
          {"loss", r.loss},
          {"aux_loss", r.aux_loss},
          {"z_loss", r.z_loss},
          {"grad_norm", r.grad_norm},
          {"learning_rate", r.learning_rate},
          {"tokens", r.tokens},
          {"seconds", r.seconds},
          {"phases", r.phases},
          {"expert_load", r.expert_load},
          {"rank_load", r.rank_load},
          {"bad", bad_json(r.bad)},
          {"checkpoint_left_out", r.checkpoint_left_out}};
}
json encode(const Regrouped& m) {
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
json encode(const NeedArena& m) { return {{"type", "need_arena"}, {"slots", m.slots}, {"bytes", m.bytes}}; }
json encode(const SnapshotTaken& m) {
  return {{"type", "snapshot_taken"},
          {"info", info_json(m.info)},
          {"make_durable", m.make_durable},
          {"num_parts", m.num_parts},
          {"part", m.part},
          {"to_write", entries_json(m.to_write)}};
}
json encode(const Stopped& m) { return {{"type", "stopped"}, {"epoch", m.epoch.value}, {"step", m.step.value}}; }
json encode(const Finished& m) {
  return {{"type", "finished"}, {"step", m.step.value}, {"weights_sha256", m.weights_sha256}};
}
json encode(const Validated& m) {
  return {{"type", "validated"}, {"epoch", m.epoch.value}, {"step", m.step.value},
          {"loss", m.loss},      {"targets", m.targets},   {"seconds", m.seconds}};
}
json encode(const GaveUp& m) { return {{"type", "gave_up"}, {"step", m.step.value}, {"reason", m.reason}}; }
json encode(const Fault& m) { return {{"type", "fault"}, {"text", m.text}}; }

// Text in a message may come from an exception of any library: bytes that are not UTF-8 are replaced, not thrown over.
template <class Message>
std::string dump(const Message& message) {
  return std::visit([](const auto& m) { return encode(m).dump(-1, ' ', false, json::error_handler_t::replace); },
                    message);
}

Result<ToWorker> decode_to_worker(const json& v) {
  const auto& type = v.at("type").get_ref<const std::string&>();
  if (type == "welcome") {
    auto job = job_from_json(v.at("job").dump());
    if (!job) return job.error();
    return ToWorker(Welcome{std::move(*job), worker_id(v.at("self")), v.at("mesh_listen").get<std::string>(),
                            v.at("agent_address").get<std::string>(), Epoch(v.at("highest_epoch").get<std::uint64_t>()),
                            v.at("profile_file").get<std::string>(), v.value("peer_memory", true)});
  }
  if (type == "dial_peers") {
    DialPeers m{Epoch(v.at("epoch").get<std::uint64_t>()), {}};
    for (const auto& p : v.at("peers"))
      m.peers.push_back(
          {worker_id(p.at("worker")), p.at("address").get<std::string>(), p.at("agent_address").get<std::string>()});
    return ToWorker(std::move(m));
  }
  if (type == "new_plan") {
    auto plan = plan_from_json(v.at("plan").dump());
    if (!plan) return plan.error();
    return ToWorker(NewPlan{std::move(*plan)});
  }
  if (type == "arena_grant") return ToWorker(ArenaGrant{v.at("slot").get<int>(), v.at("bytes").get<std::int64_t>()});
  if (type == "snapshot_answer") {
    const int news = v.at("news").get<int>();
    if (news < 0 || news > static_cast<int>(SnapshotNews::kSaveEnded))
      throw std::runtime_error("news " + std::to_string(news) + " is unknown");
    return ToWorker(SnapshotAnswer{Step(v.at("step").get<std::int64_t>()), Epoch(v.at("epoch").get<std::uint64_t>()),
                                   static_cast<SnapshotNews>(news)});
  }
  if (type == "stop_worker") return ToWorker(StopWorker{v.at("reason").get<std::string>()});
  return bad("type '" + type + "' is unknown to the worker");
}

Committed committed_from(const json& v) {
  CommitReport r;
  r.epoch = Epoch(v.at("epoch").get<std::uint64_t>());
  r.step = Step(v.at("step").get<std::int64_t>());
  r.loss = number(v.at("loss"));
  r.aux_loss = number(v.at("aux_loss"));
  r.z_loss = number(v.at("z_loss"));
  r.grad_norm = number(v.at("grad_norm"));
  r.bad = bad_from(v.at("bad"));
  r.learning_rate = number(v.at("learning_rate"));
  r.tokens = v.at("tokens").get<std::int64_t>();
  r.seconds = number(v.at("seconds"));
  for (const auto& [name, seconds] : v.at("phases").items()) r.phases[name] = number(seconds);
  r.expert_load = v.at("expert_load").get<std::vector<std::int64_t>>();
  r.rank_load = number(v.at("rank_load"));
  r.checkpoint_left_out = v.at("checkpoint_left_out").get<bool>();
  return {std::move(r)};
}

Regrouped regrouped_from(const json& v) {
  RegroupReport r;
  r.epoch = Epoch(v.at("epoch").get<std::uint64_t>());
  r.cause = word(v, "cause", kCauseWords);
  r.members = v.at("members").get<int>();
  r.step = Step(v.at("step").get<std::int64_t>());
  r.source = word(v, "source", kStateSourceWords);
  r.reason = v.at("reason").get<std::string>();
  r.stop_ms = number(v.at("stop_ms"));
  r.agree_ms = number(v.at("agree_ms"));
  r.move_ms = number(v.at("move_ms"));
  r.first_commit_ms = number(v.at("first_commit_ms"));
  r.bytes_moved = v.at("bytes_moved").get<std::int64_t>();
  r.bytes_from_own_agent = v.at("bytes_from_own_agent").get<std::int64_t>();
  r.plan_seen_at_ms = v.at("plan_seen_at_ms").get<std::int64_t>();
  r.steps_lost = v.at("steps_lost").get<std::int64_t>();
  return {std::move(r)};
}

Result<FromWorker> decode_from_worker(const json& v) {
  const auto& type = v.at("type").get_ref<const std::string&>();
  if (type == "hello")
    return FromWorker(
        Hello{v.at("address").get<std::string>(), v.at("pid").get<int>(), v.at("fingerprint").get<std::string>()});
  if (type == "state_changed") {
    const int state = v.at("state").get<int>();
    if (state < 0 || state > static_cast<int>(WorkerState::kFailed))
      return bad("worker state " + std::to_string(state) + " is unknown");
    return FromWorker(StateChanged{static_cast<WorkerState>(state), Epoch(v.at("epoch").get<std::uint64_t>()),
                                   v.at("text").get<std::string>()});
  }
  if (type == "suspects") {
    Suspects m{Epoch(v.at("epoch").get<std::uint64_t>()), {}};
    for (const auto& s : v.at("suspicions"))
      m.suspicions.push_back(
          {worker_id(s.at("whom")), word(s, "evidence", kEvidenceWords), s.at("seen_at_ms").get<std::int64_t>()});
    return FromWorker(std::move(m));
  }
  if (type == "committed") return FromWorker(committed_from(v));
  if (type == "regrouped") return FromWorker(regrouped_from(v));
  if (type == "need_arena") return FromWorker(NeedArena{v.at("slots").get<int>(), v.at("bytes").get<std::int64_t>()});
  if (type == "snapshot_taken")
    return FromWorker(SnapshotTaken{info_from(v.at("info")), v.at("make_durable").get<bool>(),
                                    v.at("num_parts").get<int>(), v.at("part").get<int>(),
                                    entries_from(v.at("to_write"))});
  if (type == "validated")
    return FromWorker(Validated{Epoch(v.at("epoch").get<std::uint64_t>()), Step(v.at("step").get<std::int64_t>()),
                                number(v.at("loss")), v.at("targets").get<std::int64_t>(), number(v.at("seconds"))});
  if (type == "gave_up")
    return FromWorker(GaveUp{Step(v.at("step").get<std::int64_t>()), v.at("reason").get<std::string>()});
  if (type == "finished")
    return FromWorker(Finished{Step(v.at("step").get<std::int64_t>()), v.at("weights_sha256").get<std::string>()});
  if (type == "stopped")
    return FromWorker(Stopped{Epoch(v.at("epoch").get<std::uint64_t>()), Step(v.at("step").get<std::int64_t>())});
  if (type == "fault") return FromWorker(Fault{v.at("text").get<std::string>()});
  return bad("type '" + type + "' is unknown to the agent");
}

template <class Message>
Result<Message> guarded(const std::string& text, Result<Message> (*decode)(const json&)) {
  try {
    return decode(json::parse(text));
  } catch (const std::exception& e) {
    return bad(e.what());
  }
}

}  // namespace

std::string to_json(const ToWorker& message) { return dump(message); }
std::string to_json(const FromWorker& message) { return dump(message); }
Result<ToWorker> to_worker_from_json(const std::string& text) { return guarded<ToWorker>(text, decode_to_worker); }
Result<FromWorker> from_worker_from_json(const std::string& text) {
  return guarded<FromWorker>(text, decode_from_worker);
}

}  // namespace regroup
