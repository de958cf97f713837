#include "agent/workers.hpp"

#include "agent/start_failure.hpp"

#include <algorithm>
#include <utility>

namespace regroup::agent {

Result<int> Workers::start(const StartWorker& order) {
  WorkerEvents events;
  const auto has_spoken = std::make_shared<bool>(false);  // both are called by one thread
  events.on_message = [this, has_spoken, id = order.worker](FromWorker message) {
    *has_spoken = true;
    events_.says({id, std::move(message)});
  };
  events.on_ended = [this, has_spoken, id = order.worker](int signal, int status) {
    const bool may_not_start = !*has_spoken && signal == 0 && status != 0;
    events_.ended({id, signal, status,
                   may_not_start ? why_it_cannot_start(options_.program, options_.environment) : std::string()});
  };
  auto started = new_process();
  if (!started) return started.error();
  (*started)->listen_to(std::move(events));
  const bool tcp = options_.sockets.starts_with("tcp:");
  const std::string listen = tcp ? options_.sockets + ":0"
                                 : "unix:" + options_.sockets + "/w" + std::to_string(order.worker.slot) + "." +
                                       std::to_string(order.worker.start);
  std::string profile;
  if (order.job.profile.steps > 0) {
    profile = to_string(order.worker) + ".json";
    std::replace(profile.begin(), profile.end(), '/', '.');
    profile = options_.directory + "/profile/" + order.job.name + "." + profile;
  }
  (*started)->tell(Welcome{order.job, order.worker, listen, options_.agent_address, order.highest_epoch, profile,
                           options_.peer_memory, order.storage_proven, order.weights_doubted, order.settings});
  const int pid = (*started)->pid();
  workers_[order.worker] = std::move(*started);
  return pid;
}

Result<std::unique_ptr<WorkerProcess>> Workers::new_process() {
  if (spare_ && !spare_->has_ended()) return std::move(spare_);
  spare_.reset();
  return WorkerProcess::start(options_.program, options_.environment);
}

Result<int> Workers::start_spare() {
  auto started = WorkerProcess::start(options_.program, options_.environment);
  if (!started) return started.error();
  spare_ = std::move(*started);
  return spare_->pid();
}

std::shared_ptr<WorkerProcess> Workers::find(const WorkerId& worker) const {
  const auto found = workers_.find(worker);
  return found != workers_.end() ? found->second : nullptr;
}

void Workers::forget(const WorkerId& worker) { workers_.erase(worker); }

void Workers::end_all() {
  workers_.clear();
  spare_.reset();
}

}  // namespace regroup::agent
