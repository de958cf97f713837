#include "agent/snapshots/saver.hpp"

#include "base/log.hpp"
#include "base/now.hpp"
#include "checkpoint/io/catalog.hpp"

namespace regroup::agent {

Saver::Saver(std::chrono::milliseconds commit_wait, std::function<void(const CheckpointSaved&)> on_saved)
    : commit_wait_(commit_wait),
      on_saved_(std::move(on_saved)),
      writer_([this] { run(to_write_, &Saver::write); }),
      committer_([this] { run(to_commit_, &Saver::commit_and_prune); }) {}

Saver::~Saver() {
  {
    const std::lock_guard lock(mutex_);
    for (const SavingPtr& saving : under_way_) checkpoint::CancelFlag(saving->cancel).cancel();
    to_write_.ends = true;
  }
  changed_.notify_all();
  writer_.join();
  {
    const std::lock_guard lock(mutex_);
    to_commit_.ends = true;  // the writer hands nothing over any more
  }
  changed_.notify_all();
  committer_.join();
}

void Saver::save(Saving saving) {
  {
    const std::lock_guard lock(mutex_);
    under_way_.push_back(std::make_shared<const Saving>(std::move(saving)));
    to_write_.waiting.push_back(under_way_.back());
  }
  changed_.notify_all();
}

void Saver::cancel_before(const std::string& job, Epoch epoch) {
  const std::lock_guard lock(mutex_);
  for (const SavingPtr& saving : under_way_) {
    if (saving->request.info.job == job && saving->request.info.epoch < epoch)
      checkpoint::CancelFlag(saving->cancel).cancel();
  }
}

int Saver::under_way() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(under_way_.size());
}

void Saver::run(Queue& queue, void (Saver::*work)(const SavingPtr&)) {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return queue.ends || !queue.waiting.empty(); });
    if (queue.waiting.empty()) return;
    SavingPtr saving = std::move(queue.waiting.front());
    queue.waiting.pop_front();
    lock.unlock();
    (this->*work)(saving);
    saving.reset();
    lock.lock();
  }
}

void Saver::write(const SavingPtr& saving) {
  CheckpointSaved saved;
  saved.problem = saving->problem;
  if (saved.problem.empty() && saving->cancel.cancelled()) saved.problem = "stopped before it began: its plan is over";
  if (!saved.problem.empty()) return report(saving, saved);
  auto written = checkpoint::write_part(saving->request, saving->cancel);
  if (!written) {
    saved.problem = to_string(written.error());
    return report(saving, saved);
  }
  if (saving->request.part != 0) {
    saved.directory = written->directory;
    saved.bytes = written->bytes;
    return report(saving, saved);
  }
  {
    const std::lock_guard lock(mutex_);
    to_commit_.waiting.push_back(saving);
  }
  changed_.notify_all();
}

void Saver::commit_and_prune(const SavingPtr& saving) {
  CheckpointSaved saved;
  auto committed = checkpoint::commit(saving->request, commit_wait_, saving->cancel);
  if (committed) {
    saved.committed = true;
    saved.directory = committed->directory;
    saved.bytes = committed->bytes;
    for (const std::string& note : committed->notes)
      log::warn("not_beside_the_checkpoint", {{"directory", committed->directory}, {"reason", note}});
  } else {
    saved.problem = to_string(committed.error());
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
    const std::lock_guard lock(mutex_);
    under_way_.remove(saving);
  }
  on_saved_(saved);
}

}  // namespace regroup::agent
