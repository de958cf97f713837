#include "agent/snapshots/saver.hpp"

#include "base/log.hpp"
#include "base/now.hpp"
#include "checkpoint/io/catalog.hpp"

namespace regroup::agent {
namespace {

void warn_of(const std::string& directory, const std::vector<std::string>& notes) {
  for (const std::string& note : notes)
    log::warn("not_beside_the_checkpoint", {{"directory", directory}, {"reason", note}});
}

}  // namespace

Saver::Saver(std::chrono::milliseconds commit_wait, std::function<void(const CheckpointSaved&)> on_saved)
    : commit_wait_(commit_wait), on_saved_(std::move(on_saved)) {}

Saver::~Saver() {
  const LockGuard lock(mutex_);
  for (const SavingPtr& saving : under_way_) checkpoint::CancelFlag(saving->cancel).cancel();
}

void Saver::save(Saving saving) {
  const auto kept = std::make_shared<const Saving>(std::move(saving));
  {
    const LockGuard lock(mutex_);
    under_way_.push_back(kept);
  }
  writer_.post([this, kept] { write(kept); });
}

void Saver::cancel_before(const std::string& job, Epoch epoch) {
  const LockGuard lock(mutex_);
  for (const SavingPtr& saving : under_way_) {
    if (saving->request.info.job == job && saving->request.info.epoch < epoch)
      checkpoint::CancelFlag(saving->cancel).cancel();
  }
}

int Saver::under_way() const {
  const LockGuard lock(mutex_);
  return static_cast<int>(under_way_.size());
}

void Saver::write(const SavingPtr& saving) {
  CheckpointSaved saved;
  saved.problem = saving->problem;
  if (saved.problem.empty() && saving->cancel.cancelled()) saved.problem = "stopped before it began: its plan is over";
  if (!saved.problem.empty()) return report(saving, saved);
  auto written = checkpoint::write_part(saving->request, saving->cancel);
  if (!written) {
    saved.problem = written.error().context;
    return report(saving, saved);
  }
  warn_of(written->directory, written->notes);
  const checkpoint::CheckpointInfo& info = saving->request.info;
  if (auto pruned = checkpoint::prune_left_behind(saving->request.root, {info.step, info.epoch}); !pruned)
    log::warn("checkpoints_not_pruned", {{"directory", saving->request.root}, {"error", to_string(pruned.error())}});
  if (saving->request.part != 0) {
    saved.directory = written->directory;
    saved.bytes = written->bytes;
    return report(saving, saved);
  }
  committer_.post([this, saving] { commit_and_prune(saving); });
}

void Saver::commit_and_prune(const SavingPtr& saving) {
  CheckpointSaved saved;
  auto committed = checkpoint::commit(saving->request, commit_wait_, saving->cancel);
  if (committed) {
    saved.committed = true;
    saved.directory = committed->directory;
    saved.bytes = committed->bytes;
    warn_of(committed->directory, committed->notes);
  } else {
    saved.problem = committed.error().context;
  }
  report(saving, saved);  // first: a worker waits for it, and deleting may take a while
  if (!committed) return;
  auto pruned = checkpoint::prune_checkpoints(saving->request.root, saving->keep_last, saving->request.info.epoch);
  if (!pruned) {
    log::warn("checkpoints_not_pruned", {{"directory", saving->request.root}, {"error", to_string(pruned.error())}});
    return;
  }
  for (const checkpoint::Deletion& gone : *pruned)
    log::info("checkpoint_deleted", {{"directory", gone.checkpoint.directory}, {"reason", gone.reason}});
}

void Saver::report(const SavingPtr& saving, CheckpointSaved saved) {
  saved.worker = saving->worker;
  saved.step = saving->request.info.step;
  saved.epoch = saving->request.info.epoch;
  saved.seconds = seconds_since(saving->since);
  {
    const LockGuard lock(mutex_);
    under_way_.remove(saving);
  }
  on_saved_(saved);
}

}  // namespace regroup::agent
