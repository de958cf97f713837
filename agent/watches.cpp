#include "agent/watches.hpp"

#include "base/log.hpp"

#include <utility>

namespace regroup::agent {

Watches::Watches(Store& store, Keys keys, const NodeId& node, std::function<void(Event)> post) : store_(store), keys_(std::move(keys)), post_(std::move(post)) {
  assignment_ = store_.watch(keys_.assignment(node), [this, key = keys_.assignment(node)](const WatchUpdate& update) {
    for (const WatchEvent& event : update.events) {
      if (event.kv.key != key) continue;  // a longer name that begins like ours
      const auto record = event.kind == WatchEvent::Kind::kPut ? assignment_from_json(event.kv.value) : Result<AssignmentRecord>(AssignmentRecord{});
      if (record) post_(Assigned{record->job});
    }
  });
}

void Watches::follow(const std::string& job) {
  spec_.reset();
  plan_.reset();
  if (job.empty()) return;
  // Two narrow watches: everything else under the job (every node's progress) is none of our business.
  spec_ = store_.watch(keys_.spec(job), [this, key = keys_.spec(job)](const WatchUpdate& update) {
    for (const WatchEvent& event : update.events) {
      if (event.kind != WatchEvent::Kind::kPut || event.kv.key != key) continue;
      if (auto spec = job_from_json(event.kv.value)) {
        post_(JobKnown{std::move(*spec)});
      } else {
        log::error("job_unreadable", {{"key", key}, {"error", to_string(spec.error())}});
      }
    }
  });
  plan_ = store_.watch(keys_.current_plan(job), [this, key = keys_.current_plan(job)](const WatchUpdate& update) {
    for (const WatchEvent& event : update.events) {
      if (event.kind != WatchEvent::Kind::kPut || event.kv.key != key) continue;
      if (auto plan = plan_from_json(event.kv.value)) {
        post_(PlanKnown{std::move(*plan)});
      } else {
        log::error("plan_unreadable", {{"key", key}, {"error", to_string(plan.error())}});
      }
    }
  });
}

}  // namespace regroup::agent
