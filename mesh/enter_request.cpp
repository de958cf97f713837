#include "mesh/enter_request.hpp"

#include <utility>

namespace regroup::mesh {

void EnterRequest::begin(Links links) {
  const LockGuard lock(mutex_);
  links_ = std::move(links);
  changed_.notify_all();
}

void EnterRequest::end(Result<void> outcome) {
  const LockGuard lock(mutex_);
  outcome_ = std::move(outcome);
  changed_.notify_all();
}

EnterRequest::Links EnterRequest::wait_begun() {
  Lock lock(mutex_);
  changed_.wait(lock, [&]() REGROUP_REQUIRES(mutex_) { return links_.has_value(); });
  return *links_;
}

std::optional<Result<void>> EnterRequest::wait_ended(const std::chrono::milliseconds& timeout) {
  Lock lock(mutex_);
  changed_.wait_for(lock, timeout, [&]() REGROUP_REQUIRES(mutex_) { return outcome_.has_value(); });
  return outcome_;
}

}  // namespace regroup::mesh
