#include "cli/job/submit.hpp"

#include "api/job_status.hpp"
#include "api/job_terms.hpp"
#include "api/records.hpp"
#include "base/hex.hpp"
#include "base/random_bytes.hpp"
#include "checkpoint/io/wanted.hpp"
#include "cli/job/difference_advice.hpp"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace regroup::cli {

namespace {

constexpr std::chrono::seconds kLetGoWait{15};  // a coordinator and the agents need a moment after the end of a job

}  // namespace

Result<std::vector<std::string>> settle_checkpoint(JobSpec& job, const Leave& leave) {
  const std::string& root = job.snapshots.checkpoint_dir;
  job.lengthens = leave.extend;
  job.changes_terms = leave.other_terms;
  const std::string option = leave.extend ? "--extend: " : leave.other_terms ? "--other-terms: " : "";
  if (!option.empty() && root.empty())
    return Error{Code::kNotFound, option + "the job has no snapshots.dir, so nothing of it was kept to go on from"};
  if (root.empty()) return std::vector<std::string>();
  auto found = checkpoint::find_newest_checkpoint(root, checkpoint::wanted_by(job));
  if (!found && found.error().code == Code::kNotFound && !option.empty())
    return Error{Code::kNotFound,
                 option + found.error().context + " that is seen from this machine: there is nothing to go on from"};
  if (!found && found.error().code != Code::kNotFound)
    return Error{found.error().code, with_advice(found.error().context, job)};
  if (!found && found.error().context.ends_with(checkpoint::kNoneComplete)) return std::vector<std::string>();
  if (!found) return std::vector<std::string>{found.error().context + ": nothing of that is gone on from"};
  const checkpoint::Manifest& manifest = found->manifest;
  for (const std::string& skipped : found->skipped)
    found->notes.push_back(skipped + "; the newest complete checkpoint is " + found->path);
  job.schedule_ended_anew = schedule_ended_anew(manifest.chain, manifest.info.step, job);
  if (job.schedule_ended_anew)
    found->notes.push_back("the schedule was ended anew: at the end stand other weights than those of a job of " +
                           std::to_string(job.steps) + " steps from the start");
  job.terms_changed = terms_changed(manifest.chain, job);
  if (job.terms_changed)
    found->notes.push_back(
        "optimizer or data are others than at the start: at the end stand other weights than those of a job that had "
        "these from the start; the checkpoints' chain says from which step on");
  return std::move(found->notes);
}

std::string make_secret() { return to_hex(random_bytes(32)); }

namespace {

bool works_for(const KeyValue& kv, const std::string& job) {
  const auto node = node_from_json(kv.value);
  return node && std::any_of(node->workers.begin(), node->workers.end(),
                             [&](const WorkerRecord& worker) { return worker.job == job; });
}

Result<void> wait_until_let_go(Store& store, const Keys& keys, const std::string& job) {
  for (const auto until = std::chrono::steady_clock::now() + kLetGoWait;;) {
    auto nodes = store.list(keys.nodes());
    if (!nodes) return nodes.error();
    const auto busy =
        std::find_if(nodes->keys.begin(), nodes->keys.end(), [&](const KeyValue& kv) { return works_for(kv, job); });
    if (busy == nodes->keys.end()) return {};
    if (std::chrono::steady_clock::now() >= until)
      return Error{Code::kConflict, "the job " + job + " is over, but " + busy->key.substr(keys.nodes().size()) +
                                        " still runs a worker of it; is a coordinator there?"};
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

// Is there one where the job will look? kConflict: there is one elsewhere.
Result<bool> has_checkpoint(Store& store, const Keys& keys, const JobSpec& job, const JobSpec& before) {
  const std::string& root = job.snapshots.checkpoint_dir;
  const std::string& old_root = before.snapshots.checkpoint_dir;
  const auto index = store.list(keys.checkpoints(job.name));
  if (!index) return index.error();
  if (root == old_root && !index->keys.empty()) return true;  // a directory need not be seen from here
  const auto newest = checkpoint::newest_complete_step(root);
  if (!newest) return newest.error();
  if (*newest) return true;
  if (index->keys.empty() && root == old_root) return false;
  return Error{Code::kConflict,
               std::string(index->keys.empty() ? "checkpoints, if any were written," : "the checkpoints") +
                   " of the job " + job.name + " are in " + old_root + "; snapshots.dir is now " +
                   (root.empty() ? "empty" : root + ", in which this machine sees none") +
                   ": name the old one, or move them and submit where they can be read"};
}

// Its end is taken back, with all that its members said; how many plans it had stays, and that it was born unless it
// begins anew. `outcome`: none = it did not end, and nothing of it runs.
Result<Submitted> go_on_after_end(Store& store, const Keys& keys, const JobSpec& job, const KeyValue* outcome,
                                  bool anew) {
  const Compare still_so{
      keys.outcome(job.name), Compare::Target::kModRevision, outcome != nullptr ? outcome->mod_revision : 0, {}};
  std::vector<Op> changes{{Op::Kind::kDelete, keys.outcome(job.name), {}, 0},
                          {Op::Kind::kDeletePrefix, keys.wishes(job.name), {}, 0},
                          {Op::Kind::kDeletePrefix, keys.progress(job.name), {}, 0},
                          {Op::Kind::kDelete, keys.current_plan(job.name), {}, 0},
                          {Op::Kind::kDelete, keys.status(job.name), {}, 0},  // of its end: no news
                          {Op::Kind::kPut, keys.spec(job.name), to_json(job), 0}};
  if (anew) changes.push_back({Op::Kind::kDelete, keys.born(job.name), {}, 0});
  auto done = store.txn({still_so}, changes);
  if (!done) return done.error();
  if (!done->succeeded) return Error{Code::kConflict, "somebody else has just made the job " + job.name + " go on"};
  return anew ? Submitted::kBeginsAnew : Submitted::kGoesOn;
}

}  // namespace

Result<Submitted> submit(Store& store, const Keys& keys, JobSpec job, SubmitWhere where) {
  job.secret = make_secret();
  if (auto good = check_job(job); !good) return good.error();
  const std::string key = keys.spec(job.name);
  const Compare absent{key, Compare::Target::kCreateRevision, 0, {}};
  auto created = store.txn({absent}, {{Op::Kind::kPut, key, to_json(job), 0}}, {{Op::Kind::kGet, key, {}, 0}});
  std::string existing;
  if (!created) {
    if (created.error().code != Code::kUnknown) return created.error();
    auto read = store.get(key);  // did it happen? our secret tells
    if (!read) return read.error();
    existing = read->value;
  } else if (created->succeeded) {
    return Submitted::kNew;
  } else if (!created->reads.empty() && !created->reads[0].empty()) {
    existing = created->reads[0][0].value;
  }
  if (existing == to_json(job)) return Submitted::kNew;

  auto other = job_from_json(existing);
  if (!other) return other.error().within("the job " + job.name + " in etcd");
  const auto outcome_value = store.get(keys.outcome(job.name));
  if (!outcome_value && outcome_value.error().code != Code::kNotFound) return outcome_value.error();
  const auto outcome = outcome_value ? job_outcome_from_json(outcome_value->value) : Result<JobOutcome>(JobOutcome());
  const bool is_over = !outcome || outcome->state != JobState::kUnknown;
  const bool local = where == SubmitWhere::kLocal, finished = outcome && outcome->state == JobState::kFinished;
  const bool failed = outcome && outcome->state == JobState::kFailed;
  const bool unsaved = failed && !outcome->weights_sha256.empty();
  const bool may_go_on = is_over ? unsaved || (failed && job.changes_terms) ||
                                       (outcome && outcome->state == JobState::kStopped) ||
                                       (finished && (local || job.lengthens))
                                 : local;
  if (!may_go_on)
    return Error{
        Code::kConflict,
        "a job named " + job.name + " exists and is " +
            (is_over ? "over (" + (outcome ? to_string(outcome->state) : "unreadable outcome") + ")" : "not over yet") +
            (finished ? "; --extend gives it more steps; else choose another name"
             : failed ? "; --other-terms lets it go on with another optimizer or other data; else choose another name"
                      : "; choose another name") +
            (job.snapshots.checkpoint_dir.empty() ? "" : " and another snapshots.dir")};

  job.secret = other->secret;
  job.schedule_ended_anew = job.schedule_ended_anew || other->schedule_ended_anew;
  job.terms_changed = job.terms_changed || other->terms_changed;
  const std::string differs =
      contradiction("that job", terms_of(*other), outcome ? outcome->step : Step(), terms_of(job), may_change(job));
  if (!differs.empty())
    return Error{Code::kConflict, "a job named " + job.name +
                                      " exists and differs from this one: " + with_advice(differs, job) +
                                      "; use another name" + (local ? " or directory" : "") +
                                      (job.snapshots.checkpoint_dir.empty() ? "" : ", and another snapshots.dir")};
  const auto saved = has_checkpoint(store, keys, job, *other);
  if (!saved) return saved.error();
  if (!*saved && finished)
    return Error{Code::kConflict, "the job " + job.name +
                                      " is finished, and no checkpoint of it was written: there is " +
                                      "nothing to go on from; choose another name" + (local ? " or directory" : "")};
  if (is_over) {
    if (!local)
      if (auto gone = wait_until_let_go(store, keys, job.name); !gone) return gone.error();
    return go_on_after_end(store, keys, job, &*outcome_value, !*saved);
  }
  if (!*saved && store.get(keys.current_plan(job.name))) return go_on_after_end(store, keys, job, nullptr, true);
  if (*other != job)
    if (auto put = store.put(key, to_json(job)); !put) return put.error();
  return Submitted::kGoesOn;
}

}  // namespace regroup::cli
