#include "bench/planner/world.hpp"

namespace regroup::bench {
namespace {

std::string name_of(int number) {
  char text[16];
  std::snprintf(text, sizeof text, "node-%05d", number);
  return text;
}

std::string address(int number, int port) {
  return "tcp:10." + std::to_string(number / 65536) + "." + std::to_string(number / 256 % 256) + "." +
         std::to_string(number % 256) + ":" + std::to_string(port);
}

}  // namespace

JobSpec make_job(const Model& model, int workers) {
  JobSpec job;
  job.name = "bench";
  job.secret = "00ff";
  job.model = {.vocab_size = 32000,
               .hidden_size = 4096,
               .intermediate_size = 2048,
               .num_hidden_layers = model.layers,
               .num_attention_heads = 32,
               .num_key_value_heads = 8,
               .head_dim = 128,
               .num_local_experts = model.experts,
               .num_experts_per_tok = 2,
               .max_position_embeddings = 4096};
  job.data_prefix = "/data/text";
  job.steps = 1'000'000;
  job.microbatches = 2 * workers;
  job.elastic.max_groups = workers / model.group;
  job.chains = 4 * job.elastic.max_groups;
  job.sequences_per_microbatch = 1;
  job.sequence_length = 4096;
  job.elastic.max_nodes = workers + 1;
  return job;
}

Participant participant(int number) {
  return {WorkerId{NodeId(name_of(number)), 1, 0, 0}, address(number, 41000), address(number, 42000)};
}

planning::Candidate candidate(int number) {
  const Participant p = participant(number);
  return {p.worker, p.address, p.agent_address, name_of(number), "zone-" + std::to_string(number / 512), 0};
}

std::vector<planning::Candidate> candidates(int n, int without) {
  std::vector<planning::Candidate> all;
  for (int i = 0; i < n; ++i) {
    if (i != without) all.push_back(candidate(i));
  }
  return all;
}

Plan make_plan_of(const JobSpec& job, const Plan* previous, planning::Planned planned) {
  Plan plan;
  plan.epoch = Epoch(previous == nullptr ? 1 : previous->epoch.value + 1);
  plan.parent = Epoch(plan.epoch.value - 1);
  plan.job = job.name;
  plan.cause = Cause::kStart;
  plan.reason = planned.reason;
  plan.members = std::move(planned.members);
  plan.placement = std::move(planned.placement);
  return plan;
}

Cluster::Cluster(const JobSpec& job, int workers, const Plan* plan)
    : job_name_(job.name), epoch_(plan == nullptr ? Epoch{} : plan->epoch) {
  const Keys& keys = view.keys();
  WatchUpdate all{true, true, 1, {}};
  put(all, keys.spec(job.name), to_json(job));
  for (int i = 0; i < workers; ++i) {
    const NodeRecord record = node(i, plan == nullptr ? WorkerState::kReady : WorkerState::kTraining, epoch_);
    put(all, keys.node(record.node), to_json(record));
    put(all, keys.assignment(record.node), to_json(AssignmentRecord{job.name}));
  }
  if (plan != nullptr) {
    const std::string text = to_json(*plan);
    put(all, keys.plan(job.name, plan->epoch), text);
    put(all, keys.current_plan(job.name), to_json(pointer_to(plan->epoch, text)));
    put(all, keys.progress(job.name, participant(0).worker.node),
        to_json(ProgressRecord{epoch_, Step(1), 1.0, 1.0, now.wall_ms, ProgressState::kTraining, "", ""}));
  }
  all.revision = revision_;
  view.apply(all, now);
  view.scanned(job.name, {}, "");
  now.at += std::chrono::seconds(2);
  now.wall_ms += 2000;
  view.contact(now);
}

void Cluster::lose(int number) {
  const Participant lost = participant(number);
  put(view.keys().suspect(lost.worker.node.value),
      to_json(SuspectRecord{lost.worker.node.value, epoch_, {{lost.worker, Evidence::kExit, now.wall_ms - 1}}}));
}

void Cluster::add_warm(int number) {
  const NodeRecord record = node(number, WorkerState::kWarm, epoch_);
  put(view.keys().node(record.node), to_json(record));
  put(view.keys().assignment(record.node), to_json(AssignmentRecord{job_name_}));
}

void Cluster::put(WatchUpdate& update, const std::string& key, const std::string& value) {
  ++revision_;
  update.events.push_back({WatchEvent::Kind::kPut, {key, value, revision_, revision_, 1, 0}});
}

void Cluster::put(const std::string& key, const std::string& value) {
  WatchUpdate update{false, true, 0, {}};
  put(update, key, value);
  update.revision = revision_;
  view.apply(update, now);
}

NodeRecord Cluster::node(int number, WorkerState state, Epoch epoch) const {
  const planning::Candidate c = candidate(number);
  NodeRecord record;
  record.node = c.worker.node;
  record.incarnation = 1;
  record.agent_address = c.agent_address;
  record.zone = c.zone;
  record.workers = {{c.worker, job_name_, c.address, state, epoch, "same", ""}};
  return record;
}

}  // namespace regroup::bench
