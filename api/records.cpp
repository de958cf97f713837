#include "api/records.hpp"

#include "api/json_values.hpp"
#include "base/hex.hpp"

namespace regroup {
namespace {

using json::dump;
using json::Field;
using json::Json;
using json::read_json;

// As in worker ids: 64 bits do not survive tools that read JSON numbers as doubles.
std::uint64_t read_hex(const Field& in) {
  const auto value = from_hex(in.string());
  if (!value) in.fail("must be a hexadecimal number, not '" + in.string() + "'");
  return *value;
}

WorkerRecord read_worker(const Field& in) {
  WorkerRecord worker;
  worker.id = in["id"].worker();
  worker.job = in["job"].string();
  worker.address = in["address"].string();
  worker.state = in["state"].word(kWorkerStateWords);
  worker.epoch = in["epoch"].id<Epoch>();
  worker.fingerprint = in["fingerprint"].string();
  worker.text = in["text"].string();
  worker.lacks = in["lacks"].boolean();
  return worker;
}

NodeRecord read_node(const Field& in) {
  NodeRecord record;
  record.version = in["version"].integer<int>();
  record.node = in["node"].id<NodeId>();
  if (record.version != kProtocolVersion) {
    in["version"].fail("is " + std::to_string(record.version) + " on node " + record.node.value +
                       ", this program speaks " + std::to_string(kProtocolVersion) +
                       ": install the same Regroup on both");
  }
  record.incarnation = read_hex(in["incarnation"]);
  record.agent_address = in["agent_address"].string();
  record.metrics_address = in["metrics_address"].string();
  record.slots = in["slots"].integer<int>();
  record.memory_bytes = in["memory_bytes"].integer<std::int64_t>();
  record.device = in["device"].string();
  record.zone = in["zone"].string();
  for (const auto& [key, value] : in["labels"].members()) record.labels[key] = value.string();
  for (const Field& worker : in["workers"].items()) record.workers.push_back(read_worker(worker));
  record.highest_epoch = in["highest_epoch"].id<Epoch>();
  return record;
}

// A progress record has both in one text, frozen: "training", "failed: REASON", "stopped" or "stopped: REASON".
std::string joined(ProgressState state, const std::string& reason) {
  const bool always = state == ProgressState::kWaiting || state == ProgressState::kFailed;
  return kProgressWords(state) + (always || !reason.empty() ? ": " + reason : "");
}

// A word of another version leaves the rest of the record to be read: its step and epoch count. So does "failed"
// without a reason, which nobody writes: a job must not end by it.
void split(const Field& in, ProgressState& state, std::string& reason) {
  const std::string text = in.string();
  const auto colon = text.find(": ");
  reason = colon == std::string::npos ? "" : text.substr(colon + 2);
  state = kProgressWords.find(text.substr(0, colon)).value_or(ProgressState::kUnknown);
  if (joined(state, reason) != text) state = ProgressState::kUnknown;
}

}  // namespace

std::string to_json(const NodeRecord& record) {
  Json workers = Json::array();
  for (const WorkerRecord& worker : record.workers) {
    workers.push_back({{"id", to_string(worker.id)},
                       {"job", worker.job},
                       {"address", worker.address},
                       {"state", kWorkerStateWords(worker.state)},
                       {"epoch", worker.epoch.value},
                       {"fingerprint", worker.fingerprint},
                       {"text", worker.text},
                       {"lacks", worker.lacks}});
  }
  Json labels = Json::object();
  for (const auto& [key, value] : record.labels) labels[key] = value;
  return dump({{"node", record.node.value},
               {"incarnation", to_hex(record.incarnation)},
               {"version", record.version},
               {"agent_address", record.agent_address},
               {"metrics_address", record.metrics_address},
               {"slots", record.slots},
               {"memory_bytes", record.memory_bytes},
               {"device", record.device},
               {"zone", record.zone},
               {"labels", std::move(labels)},
               {"workers", std::move(workers)},
               {"highest_epoch", record.highest_epoch.value}});
}

Result<NodeRecord> node_from_json(const std::string& text) { return read_json(text, "node record", read_node); }

std::string to_json(const NoticeRecord& record) {
  return dump({{"node", record.node.value}, {"kind", kNoticeWords(record.kind)}, {"deadline_ms", record.deadline_ms}});
}

Result<NoticeRecord> notice_from_json(const std::string& text) {
  return read_json(text, "notice", [](const Field& in) {
    return NoticeRecord{in["node"].id<NodeId>(), kNoticeWords.find(in["kind"].string()).value_or(NoticeKind::kOther),
                        in["deadline_ms"].integer<std::int64_t>()};
  });
}

std::string to_json(const SuspectRecord& record) {
  return dump(
      {{"reporter", record.reporter}, {"epoch", record.epoch.value}, {"suspicions", to_value(record.suspicions)}});
}

Result<SuspectRecord> suspect_from_json(const std::string& text) {
  return read_json(text, "suspect record", [](const Field& in) {
    return SuspectRecord{in["reporter"].string(), in["epoch"].id<Epoch>(), read_suspicions(in["suspicions"])};
  });
}

std::string to_json(const AssignmentRecord& record) {
  Json out = {{"job", record.job}};
  if (record.ends) out["ends"] = {{"worker", to_string(*record.ends)}, {"epoch", record.ends_in.value}};
  return dump(out);
}

Result<AssignmentRecord> assignment_from_json(const std::string& text) {
  return read_json(text, "assignment", [](const Field& in) {
    AssignmentRecord record{in["job"].string()};
    if (const auto ends = in.find("ends")) {
      record.ends = (*ends)["worker"].worker();
      record.ends_in = (*ends)["epoch"].id<Epoch>();
    }
    return record;
  });
}

std::string to_json(const WishRecord& record) {
  return dump(
      {{"kind", kWishWords(record.kind)}, {"nodes", record.nodes}, {"node", record.node.value}, {"now", record.now}});
}

Result<WishRecord> wish_from_json(const std::string& text) {
  return read_json(text, "wish", [](const Field& in) {
    WishRecord record{kWishWords.find(in["kind"].string()), in["nodes"].integer<int>(), in["node"].id<NodeId>()};
    if (const auto at_once = in.find("now")) record.now = at_once->boolean();
    return record;
  });
}

std::string to_json(const ProgressRecord& record) {
  Json all = {{"epoch", record.epoch.value},
              {"step", record.step.value},
              {"loss", record.loss},
              {"tokens_per_second", record.tokens_per_second},
              {"at_ms", record.at_ms},
              {"state", joined(record.state, record.reason)},
              {"weights_sha256", record.weights_sha256},
              {"bad_steps", {{"total", record.bad.total}, {"in_a_row", record.bad.in_a_row}}},
              {"validation", {{"step", record.validation_step.value}, {"loss", record.validation_loss}}},
              {"safe", record.safe.value}};
  if (!record.save_problem.empty()) all["save_problem"] = record.save_problem;
  return dump(all);
}

Result<ProgressRecord> progress_from_json(const std::string& text) {
  return read_json(text, "progress record", [](const Field& in) {
    ProgressRecord record;
    record.epoch = in["epoch"].id<Epoch>();
    record.step = in["step"].id<Step>();
    record.loss = in["loss"].real_or_nan();
    record.tokens_per_second = in["tokens_per_second"].real_or_nan();
    record.at_ms = in["at_ms"].integer<std::int64_t>();
    split(in["state"], record.state, record.reason);
    record.weights_sha256 = in["weights_sha256"].string();
    record.bad.total = in["bad_steps"]["total"].integer<std::int64_t>();
    record.bad.in_a_row = in["bad_steps"]["in_a_row"].integer<std::int64_t>();
    record.validation_step = in["validation"]["step"].id<Step>();
    record.validation_loss = in["validation"]["loss"].real_or_nan();
    record.safe = in["safe"].id<Step>();
    if (const auto problem = in.find("save_problem")) record.save_problem = problem->string();
    return record;
  });
}

std::string to_json(const LoadRecord& record) {
  return dump({{"epoch", record.epoch.value},
               {"step", record.step.value},
               {"expert_load", record.expert_load},
               {"load_before", record.load_before}});
}

Result<LoadRecord> load_from_json(const std::string& text) {
  return read_json(text, "load record", [](const Field& in) {
    LoadRecord record{in["epoch"].id<Epoch>(), in["step"].id<Step>(), {}, {}};
    record.expert_load = in["expert_load"].integers<std::int64_t>();
    record.load_before = in["load_before"].integers<std::int64_t>();
    return record;
  });
}

std::string to_json(const CheckpointRecord& record) {
  return dump(
      {{"step", record.step.value}, {"epoch", record.epoch.value}, {"path", record.path}, {"bytes", record.bytes}});
}

Result<CheckpointRecord> checkpoint_from_json(const std::string& text) {
  return read_json(text, "checkpoint record", [](const Field& in) {
    return CheckpointRecord{in["step"].id<Step>(), in["epoch"].id<Epoch>(), in["path"].string(),
                            in["bytes"].integer<std::int64_t>()};
  });
}

std::string to_json(const BornRecord& record) { return dump({{"epoch", record.epoch.value}}); }

Result<BornRecord> born_from_json(const std::string& text) {
  return read_json(text, "born record", [](const Field& in) { return BornRecord{in["epoch"].id<Epoch>()}; });
}

}  // namespace regroup
