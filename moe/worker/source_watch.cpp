#include "moe/worker/source_watch.hpp"

#include "checkpoint/io/wanted.hpp"

#include <algorithm>
#include <chrono>

namespace regroup {

void SourceWatch::lacked() {
  seen_ = newest();
  at_ = Clock::now();
  ++attempts_;
}

bool SourceWatch::may_be_there() const {
  const std::string now = attempts_ > 0 ? newest() : std::string();
  if (now.empty()) return false;
  const std::chrono::seconds pause(std::min(60, 2 << std::min(attempts_, 5)));
  return now != seen_ || Clock::now() - at_ >= pause;
}

std::string SourceWatch::newest() const {
  if (job_.snapshots.checkpoint_dir.empty()) return {};
  const auto found = checkpoint::find_newest_checkpoint(job_.snapshots.checkpoint_dir, checkpoint::wanted_by(job_));
  const bool good = found && checkpoint::computed_elsewhere(found->manifest, job_, fingerprint_).empty();
  return good ? found->path : std::string();
}

}  // namespace regroup
