#include "cli/job/cluster_status.hpp"

#include "api/job_spec.hpp"
#include "base/overload.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <variant>

namespace regroup::cli {
namespace {

// Every record under a prefix whose keys are all of one kind.
template <class Kind, class Parse, class Take>
Result<void> read_records(Store& store, const Keys& keys, const std::string& prefix, ClusterStatus& status, Parse parse,
                          Take take) {
  auto listing = store.list(prefix);
  if (!listing) return listing.error();
  for (const KeyValue& kv : listing->keys) {
    const auto key = keys.parse(kv.key);
    const auto* at = key ? std::get_if<Kind>(&*key) : nullptr;
    if (const auto record = parse(kv.value); at != nullptr && record) {
      take(*at, *record);
    } else {
      status.unreadable.push_back(kv.key);
    }
  }
  return {};
}

struct ListedJob {
  std::int64_t created = 0;  // revision of its spec; 0: there is none
  JobLine line;
};

void read_job_key(const Key& key, const KeyValue& kv, ListedJob& job, ClusterStatus& status) {
  JobLine& line = job.line;
  const auto read = [&](auto parse, auto take) {
    if (auto record = parse(kv.value)) {
      take(*record);
    } else {
      status.unreadable.push_back(kv.key);
    }
  };
  std::visit(Overload{
                 [&](const key::Spec&) {
                   job.created = kv.create_revision;
                   read(job_from_json, [&](const JobSpec& spec) { line.steps = spec.steps; });
                 },
                 [&](const key::Status&) { read(job_status_from_json, [&](auto& found) { line.status = found; }); },
                 [&](const key::Outcome&) { read(job_outcome_from_json, [&](auto& found) { line.outcome = found; }); },
                 [&](const key::Progress&) {
                   read(progress_from_json, [&](auto& found) {
                     if (!line.progress || line.progress->step < found.step) line.progress = found;
                   });
                 },
                 [&](const key::Checkpoint&) {
                   read(checkpoint_from_json, [&](auto& found) {
                     if (!line.checkpoint || line.checkpoint->step < found.step) line.checkpoint = found;
                   });
                 },
                 [&](const key::Wish& at) {
                   if (at.drained) status.drained_from[at.drained->value] = at.job;
                 },
                 [](const auto&) {},
             },
             key);
}

Result<void> read_jobs(Store& store, const Keys& keys, ClusterStatus& status) {
  auto listing = store.list(keys.jobs());
  if (!listing) return listing.error();
  std::map<std::string, ListedJob> jobs;
  for (const KeyValue& kv : listing->keys) {
    const auto key = keys.parse(kv.key);
    const std::string* name = key ? job_in(*key) : nullptr;
    if (name == nullptr) continue;
    ListedJob& job = jobs[*name];
    job.line.name = *name;
    read_job_key(*key, kv, job, status);
  }
  std::vector<ListedJob> ordered;
  for (auto& [name, job] : jobs)
    if (job.created > 0) ordered.push_back(std::move(job));
  std::sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) { return a.created < b.created; });
  for (ListedJob& job : ordered) status.jobs.push_back(std::move(job.line));
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
  const auto take_node = [&](const key::Node&, const NodeRecord& node) { status.nodes.push_back(node); };
  const auto take_assignment = [&](const key::Assignment& at, const AssignmentRecord& assignment) {
    status.job_of[at.node.value] = assignment.job;
  };
  const auto take_notice = [&](const key::Notice&, const NoticeRecord& notice) { status.notices.push_back(notice); };
  auto read = read_records<key::Node>(store, keys, keys.nodes(), status, node_from_json, take_node);
  if (read)
    read =
        read_records<key::Assignment>(store, keys, keys.assignments(), status, assignment_from_json, take_assignment);
  if (read) read = read_records<key::Notice>(store, keys, keys.notices(), status, notice_from_json, take_notice);
  if (!read) return read.error();
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
    out += fmt::format(
        "{:<16} {:<11} {:<13} {:<6} {:<8} {:<10} {}\n", job.name, job_state(job), fmt::format("{}/{}", step, job.steps),
        job.status ? job.status->epoch.value : 0, job.status ? job.status->members.size() : 0,
        job.progress && job.progress->trained() ? fmt::format("{:.4f}", job.progress->loss) : "-", job_reason(job));
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
      if (job.progress->trained()) entry["loss"] = job.progress->loss;
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
