// watches.hpp: what etcd tells this agent, as events: the job that the node is assigned to, and of the job that is
// followed its spec and its current plan.
//
// Threads: the constructor, follow and the end: one. Events come on a thread of the store; none after the end.
#pragma once

#include "agent/core/agent.hpp"
#include "store/store.hpp"

#include <functional>
#include <memory>
#include <string>

namespace regroup::agent {

class Watches {
 public:
  // `post` takes Assigned, JobKnown and PlanKnown. A spec or plan that cannot be read is said in the log.
  Watches(Store& store, Keys keys, const NodeId& node, std::function<void(Event)> post);

  // Instead of the job before; empty: none.
  void follow(const std::string& job);

 private:
  Store& store_;
  Keys keys_;
  std::function<void(Event)> post_;
  std::unique_ptr<Watch> plan_, spec_, assignment_;
};

}  // namespace regroup::agent
