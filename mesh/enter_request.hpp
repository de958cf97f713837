// enter_request.hpp: enter() under way: the main thread asks and waits, the I/O thread answers.
#pragma once

#include "base/mutex.hpp"
#include "mesh/link.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

namespace regroup::mesh {

struct ResolvedPeer {
  WorkerId id;
  std::optional<SocketAddress> address;  // none: it must dial us
};

class EnterRequest {
 public:
  using Links = std::vector<std::shared_ptr<Link>>;

  EnterRequest(Epoch to, std::vector<ResolvedPeer> with) : epoch(to), peers(std::move(with)) {}

  const Epoch epoch;
  const std::vector<ResolvedPeer> peers;  // index = rank; self included

  // I/O thread. Once begun, nothing of older epochs is touched any more.
  void begin(Links links);
  void end(Result<void> outcome);

  // Main thread.
  Links wait_begun();                                                                // by rank; null for self
  std::optional<Result<void>> wait_ended(const std::chrono::milliseconds& timeout);  // none: not in time

 private:
  Mutex mutex_;
  Condition changed_;
  std::optional<Links> links_ REGROUP_GUARDED_BY(mutex_);           // once begun
  std::optional<Result<void>> outcome_ REGROUP_GUARDED_BY(mutex_);  // once ended
};

}  // namespace regroup::mesh
