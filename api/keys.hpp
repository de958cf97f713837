// keys.hpp: where things lie in etcd. All under /regroup/<cluster>/; job names, node ids and wishes hold no slash.
#pragma once

#include "base/ids.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace regroup {

// May this be the name of a cluster or a node?
inline bool is_key_part(std::string_view name) {
  return !name.empty() && name.find_first_of("/: \t\n") == std::string_view::npos;
}

// What a key is, and what it names: one struct for each kind of record.
namespace key {

struct Node {
  NodeId node;
};
struct Notice {
  NodeId node;
};
struct Suspect {
  std::string reporter;
};
struct Assignment {
  NodeId node;
};
struct Candidate {  // for leadership; the oldest leads
  std::string lease;
};
struct Spec {
  std::string job;
};
struct CurrentPlan {
  std::string job;
};
struct PlanOfEpoch {
  std::string job;
  Epoch epoch;
};
struct Born {
  std::string job;
};
struct Wish {
  std::string job;
  std::string id;
  std::optional<NodeId> drained = {};  // the node that this wishes to drain
};
struct Progress {
  std::string job;
  NodeId node;
};
struct Load {
  std::string job;
  NodeId node;
};
struct Checkpoint {
  std::string job;
  Step step;
};
struct Outcome {
  std::string job;
};
struct Status {
  std::string job;
};

}  // namespace key

using Key = std::variant<key::Node, key::Notice, key::Suspect, key::Assignment, key::Candidate, key::Spec,
                         key::CurrentPlan, key::PlanOfEpoch, key::Born, key::Wish, key::Progress, key::Load,
                         key::Checkpoint, key::Outcome, key::Status>;

// The job that a key is about; null: none.
const std::string* job_in(const Key& key);

class Keys {
 public:
  explicit Keys(std::string_view cluster) : root_("/regroup/" + std::string(cluster) + "/") {}
  [[nodiscard]] const std::string& root() const { return root_; }
  [[nodiscard]] std::string nodes() const { return root_ + "nodes/"; }
  [[nodiscard]] std::string node(const NodeId& id) const { return nodes() + id.value; }
  [[nodiscard]] std::string notices() const { return root_ + "notices/"; }
  [[nodiscard]] std::string notice(const NodeId& id) const { return notices() + id.value; }
  [[nodiscard]] std::string suspects() const { return root_ + "suspects/"; }
  [[nodiscard]] std::string suspect(const std::string& reporter) const { return suspects() + reporter; }
  [[nodiscard]] std::string assignments() const { return root_ + "assignments/"; }
  [[nodiscard]] std::string assignment(const NodeId& id) const { return assignments() + id.value; }
  [[nodiscard]] std::string leader() const { return root_ + "leader"; }  // election prefix: leader/<lease in hex>
  [[nodiscard]] std::string jobs() const { return root_ + "jobs/"; }
  [[nodiscard]] std::string job(const std::string& name) const { return jobs() + name + "/"; }
  [[nodiscard]] std::string spec(const std::string& name) const { return job(name) + "spec"; }
  [[nodiscard]] std::string plans(const std::string& name) const { return job(name) + "plan/"; }
  [[nodiscard]] std::string current_plan(const std::string& name) const { return plans(name) + "current"; }
  [[nodiscard]] std::string plan(const std::string& name, Epoch epoch) const {
    return plans(name) + std::to_string(epoch.value);
  }
  [[nodiscard]] std::string born(const std::string& name) const { return job(name) + "born"; }
  [[nodiscard]] std::string progress(const std::string& name) const { return job(name) + "progress/"; }
  [[nodiscard]] std::string progress(const std::string& name, const NodeId& id) const {
    return progress(name) + id.value;
  }
  [[nodiscard]] std::string load(const std::string& name, const NodeId& id) const {
    return job(name) + "load/" + id.value;
  }
  [[nodiscard]] std::string checkpoints(const std::string& name) const { return job(name) + "checkpoints/"; }
  [[nodiscard]] std::string checkpoint(const std::string& name, Step step) const {
    return checkpoints(name) + std::to_string(step.value);
  }
  [[nodiscard]] std::string wishes(const std::string& name) const { return job(name) + "wishes/"; }
  [[nodiscard]] std::string wish(const std::string& name, const std::string& id) const { return wishes(name) + id; }
  // finished | failed, with a reason
  [[nodiscard]] std::string outcome(const std::string& name) const { return job(name) + "outcome"; }
  // what the coordinator does and waits for
  [[nodiscard]] std::string status(const std::string& name) const { return job(name) + "status"; }

  // The inverse of all of these but the prefixes. Nothing: no key of this cluster that this version writes.
  [[nodiscard]] std::optional<Key> parse(std::string_view key) const;

 private:
  std::string root_;
};

// The id of the wish to drain a node: one for each node, so that wishing twice is wishing once.
std::string drain_wish(const NodeId& node);

}  // namespace regroup
