// watches.hpp: what etcd tells this agent, as events: which job the node is assigned to, and the spec and the current
// plan of the job that it follows.
//
// Threads: construct, follow and destroy on one thread. Events come on a thread of the store, none after the
// destructor.
#pragma once

#include "agent/core/agent.hpp"
#include "store/store.hpp"

#include <functional>
#include <memory>
#include <string>

namespace regroup::agent {

class Watches {
 public:
  // `post` takes Assigned, JobKnown and PlanKnown, and does not block. A spec or plan that cannot be read goes to the
  // log and is otherwise ignored.
  Watches(Store& store, Keys keys, const NodeId& node, std::function<void(Event)> post);

  // Instead of the job before; empty: none.
  void follow(const std::string& job);

 private:
  // As an event, or as a line in the log by the name `unreadable`.
  template <class Known, class T>
  void tell(Result<T> value, const char* unreadable, const std::string& job);

  Store& store_;
  Keys keys_;
  std::function<void(Event)> post_;
  std::unique_ptr<Watch> plan_, spec_, assignment_;
};

}  // namespace regroup::agent
