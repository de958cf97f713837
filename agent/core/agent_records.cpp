// Agent, third part: what the node says of itself in etcd, level-triggered: compared with what was written last.
#include "agent/core/agent.hpp"

#include <algorithm>

namespace regroup::agent {
namespace {

// etcd takes 1 MiB; a job with so many experts has no plan of 1 MiB either
constexpr std::size_t kMaxLoadBytes = 512u << 10;

}  // namespace

std::string suspect_name(const WorkerId& worker) {
  std::string name = to_string(worker);
  std::replace(name.begin(), name.end(), '/', ':');  // one key, no path
  return name;
}

void Agent::write_node() {
  NodeRecord record;
  record.node = facts_.node;
  record.incarnation = facts_.incarnation;
  record.agent_address = facts_.agent_address;
  record.metrics_address = facts_.metrics_address;
  record.slots = facts_.slots;
  record.memory_bytes = facts_.memory_bytes;
  record.device = facts_.device;
  record.zone = facts_.zone;
  record.labels = facts_.labels;
  record.highest_epoch = plan_ ? plan_->epoch : Epoch(0);
  for (const Slot& slot : slots_) {
    if (slot.running || slot.worker.state == WorkerState::kFailed) record.workers.push_back(slot.worker);
  }
  std::string text = to_json(record);
  if (text == node_text_) return;
  node_text_ = text;
  act(PutLeased{keys_.node(facts_.node), std::move(text)});
}

void Agent::write_own_suspicions() {
  const std::string key = keys_.suspect(facts_.node.value);
  std::string text =
      exits_.empty() ? "" : to_json(SuspectRecord{facts_.node.value, plan_ ? plan_->epoch : Epoch(0), exits_});
  if (text == suspicions_text_) return;
  suspicions_text_ = text;
  if (text.empty()) {
    act(EraseLeased{key});
  } else {
    act(PutLeased{key, std::move(text)});
  }
}

void Agent::write_progress() {
  if (!job_) return;
  progress_is_new_ = false;
  progress_written_ = now_.at;
  progress_.at_ms = now_.wall_ms;
  act(PutLasting{keys_.progress(job_->name, facts_.node), to_json(progress_)});
}

void Agent::write_load() {
  if (!job_ || job_->elastic.load_gain <= 0) return;
  const auto load = load_.news(now_.at, facts_.load_every);
  if (!load) return;
  std::string text = to_json(*load);
  if (text.size() <= kMaxLoadBytes) act(PutLasting{keys_.load(job_->name, facts_.node), std::move(text)});
}

}  // namespace regroup::agent
