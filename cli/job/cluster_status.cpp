#include "cli/job/cluster_status.hpp"

#include "api/job_spec.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace regroup::cli {
namespace {

// Reads `key`s below a job: name/what/...
void read_job_key(JobLine& job, const std::string& what, const KeyValue& kv, std::vector<std::string>& unreadable) {
  bool good = true;
  if (what == "spec") {
    auto spec = job_from_json(kv.value);
    good = spec.has_value();
    if (good) job.steps = spec->steps;
  } else if (what == "status") {
    auto status = job_status_from_json(kv.value);
    good = status.has_value();
    if (good) job.status = *status;
  } else if (what == "outcome") {
    auto outcome = job_outcome_from_json(kv.value);
    good = outcome.has_value();
    if (good) job.outcome = *outcome;
  } else if (what.rfind("progress/", 0) == 0) {
    auto progress = progress_from_json(kv.value);
    good = progress.has_value();
    if (good && (!job.progress || job.progress->step < progress->step)) job.progress = *progress;
  } else if (what.rfind("checkpoints/", 0) == 0) {
    auto checkpoint = checkpoint_from_json(kv.value);
    good = checkpoint.has_value();
    if (good && (!job.checkpoint || job.checkpoint->step < checkpoint->step)) job.checkpoint = *checkpoint;
  }
  if (!good) unreadable.push_back(kv.key);
}

Result<void> read_jobs(Store& store, const Keys& keys, ClusterStatus& status) {
  auto listing = store.list(keys.jobs());
  if (!listing) return listing.error();
  std::map<std::string, std::pair<std::int64_t, JobLine>> jobs;  // with the revision that created the spec
  for (const KeyValue& kv : listing->keys) {
    const std::string rest = kv.key.substr(keys.jobs().size());
    const auto slash = rest.find('/');
    if (slash == std::string::npos) continue;
    auto& [created, job] = jobs[rest.substr(0, slash)];
    job.name = rest.substr(0, slash);
    const std::string what = rest.substr(slash + 1);
    if (what == "spec") created = kv.create_revision;
    if (what.rfind("wishes/drain-", 0) == 0)
      status.drained_from[what.substr(std::string("wishes/drain-").size())] = job.name;
    read_job_key(job, what, kv, status.unreadable);
  }
  std::vector<std::pair<std::int64_t, JobLine>> ordered;
  for (auto& [name, entry] : jobs)
    if (entry.first > 0) ordered.push_back(std::move(entry));
  std::sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [created, job] : ordered) status.jobs.push_back(std::move(job));
  return {};
}

std::string job_state(const JobLine& job) {
  if (job.outcome) return to_string(job.outcome->state);
  return job.status ? to_string(job.status->state) : "submitted";
}

std::string job_reason(const JobLine& job) {
  if (job.outcome) return job.outcome->reason;
  return job.status ? job.status->reason : "no coordinator has looked at it yet";
}

}  // namespace

Result<ClusterStatus> read_cluster_status(Store& store, const Keys& keys) {
  ClusterStatus status;
  auto nodes = store.list(keys.nodes());
  if (!nodes) return nodes.error();
  for (const KeyValue& kv : nodes->keys) {
    if (auto node = node_from_json(kv.value)) {
      status.nodes.push_back(*node);
    } else {
      status.unreadable.push_back(kv.key);
    }
  }
  auto assignments = store.list(keys.assignments());
  if (!assignments) return assignments.error();
  for (const KeyValue& kv : assignments->keys)
    if (auto record = assignment_from_json(kv.value))
      status.job_of[kv.key.substr(keys.assignments().size())] = record->job;
  auto notices = store.list(keys.notices());
  if (!notices) return notices.error();
  for (const KeyValue& kv : notices->keys)
    if (auto notice = notice_from_json(kv.value)) status.notices.push_back(*notice);
  auto leaders = store.list(keys.leader() + "/");
  if (!leaders) return leaders.error();
  const auto first = std::min_element(leaders->keys.begin(), leaders->keys.end(), [](const auto& a, const auto& b) {
    return a.create_revision < b.create_revision;
  });
  if (first != leaders->keys.end()) status.leader = first->value;
  if (auto jobs = read_jobs(store, keys, status); !jobs) return jobs.error();
  return status;
}

std::string status_text(const ClusterStatus& status) {
  std::string out = status.leader.empty() ? "coordinator: none leads; training goes on, but no member can be replaced\n"
                                          : fmt::format("coordinator: {} leads\n", status.leader);
  out += fmt::format("\n{:<20} {:<16} {:<10} {:<12} {}\n", "NODE", "JOB", "DEVICE", "WORKER", "");
  for (const NodeRecord& node : status.nodes) {
    const auto job = status.job_of.find(node.node.value);
    std::string states, texts;
    for (const WorkerRecord& worker : node.workers) {
      states += (states.empty() ? "" : ",") + to_string(worker.state);
      if (!worker.text.empty()) texts += (texts.empty() ? "" : "; ") + worker.text;
    }
    for (const NoticeRecord& notice : status.notices)
      if (notice.node == node.node) texts += (texts.empty() ? "leaves: " : "; leaves: ") + to_string(notice.kind);
    if (const auto drained = status.drained_from.find(node.node.value); drained != status.drained_from.end())
      texts += std::string(texts.empty() ? "" : "; ") + "drained from " + drained->second + " (regroup drain --undo)";
    out +=
        fmt::format("{:<20} {:<16} {:<10} {:<12} {}\n", node.node.value, job == status.job_of.end() ? "-" : job->second,
                    node.device, states.empty() ? "-" : states, texts);
  }
  if (status.nodes.empty()) out += "(none)\n";
  out += fmt::format("\n{:<16} {:<11} {:<13} {:<6} {:<8} {:<10} {}\n", "JOB", "STATE", "STEP", "EPOCH", "MEMBERS",
                     "LOSS", "REASON");
  for (const JobLine& job : status.jobs) {
    const std::int64_t step = job.outcome ? job.outcome->step.value : job.progress ? job.progress->step.value : 0;
    out += fmt::format("{:<16} {:<11} {:<13} {:<6} {:<8} {:<10} {}\n", job.name, job_state(job),
                       fmt::format("{}/{}", step, job.steps), job.status ? job.status->epoch.value : 0,
                       job.status ? job.status->members.size() : 0,
                       job.progress ? fmt::format("{:.4f}", job.progress->loss) : "-", job_reason(job));
    if (job.progress && job.progress->bad.total > 0)
      out +=
          fmt::format("  {} steps changed no weight, because their gradients were not finite; the last {} in a row\n",
                      job.progress->bad.total, job.progress->bad.in_a_row);
    if (job.progress && job.progress->validation_step.value >= 0)
      out += fmt::format("  validation after step {}: loss {:.4f}, perplexity {:.2f}\n",
                         job.progress->validation_step.value, job.progress->validation_loss,
                         std::exp(job.progress->validation_loss));
    if (job.status)
      for (const auto& note : job.status->notes) out += "  " + note + "\n";
  }
  if (status.jobs.empty()) out += "(none)\n";
  for (const auto& key : status.unreadable) out += "cannot be read (another version?): " + key + "\n";
  out.pop_back();
  return out;
}

std::string status_json(const ClusterStatus& status) {
  nlohmann::ordered_json out;
  out["leader"] = status.leader;
  out["nodes"] = nlohmann::json::array();
  for (const NodeRecord& node : status.nodes) {
    nlohmann::ordered_json entry = {{"node", node.node.value},
                                    {"device", node.device},
                                    {"slots", node.slots},
                                    {"workers", nlohmann::json::array()}};
    const auto job = status.job_of.find(node.node.value);
    entry["job"] = job == status.job_of.end() ? nlohmann::ordered_json() : nlohmann::ordered_json(job->second);
    for (const WorkerRecord& worker : node.workers)
      entry["workers"].push_back(
          {{"id", to_string(worker.id)}, {"state", to_string(worker.state)}, {"text", worker.text}});
    out["nodes"].push_back(std::move(entry));
  }
  out["jobs"] = nlohmann::json::array();
  for (const JobLine& job : status.jobs) {
    nlohmann::ordered_json entry = {
        {"name", job.name}, {"state", job_state(job)}, {"reason", job_reason(job)}, {"steps", job.steps}};
    if (job.status) {
      entry["epoch"] = job.status->epoch.value;
      entry["members"] = job.status->members;
      entry["notes"] = job.status->notes;
    }
    if (job.progress) {
      entry["step"] = job.progress->step.value;
      entry["loss"] = job.progress->loss;
      entry["tokens_per_second"] = job.progress->tokens_per_second;
      if (job.progress->validation_step.value >= 0)
        entry["validation"] = {{"step", job.progress->validation_step.value}, {"loss", job.progress->validation_loss}};
      entry["bad_steps"] = {{"total", job.progress->bad.total}, {"in_a_row", job.progress->bad.in_a_row}};
    }
    if (job.checkpoint) entry["checkpoint"] = {{"step", job.checkpoint->step.value}, {"path", job.checkpoint->path}};
    if (job.outcome) {
      entry["step"] = job.outcome->step.value;
      entry["weights_sha256"] = job.outcome->weights_sha256;
    }
    out["jobs"].push_back(std::move(entry));
  }
  out["unreadable"] = status.unreadable;
  return out.dump(2);
}

}  // namespace regroup::cli
