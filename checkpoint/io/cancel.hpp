// cancel.hpp: asks a running save to stop. Any thread sets it; the save returns kNewerEpoch within one piece (4 MiB) of
// writing or 20 ms of waiting.
#pragma once

#include <atomic>
#include <memory>

namespace regroup::checkpoint {

class CancelFlag {
 public:
  CancelFlag() : set_(std::make_shared<std::atomic<bool>>(false)) {}  // copies share one flag
  void cancel() { set_->store(true); }
  [[nodiscard]] bool cancelled() const { return set_->load(); }

 private:
  std::shared_ptr<std::atomic<bool>> set_;
};

}  // namespace regroup::checkpoint
