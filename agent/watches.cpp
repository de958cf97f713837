#include "agent/watches.hpp"

#include "agent/plan_follower.hpp"
#include "base/log.hpp"

#include <utility>

namespace regroup::agent {

Watches::Watches(Store& store, Keys keys, const NodeId& node, std::function<void(Event)> post)
    : store_(store), keys_(std::move(keys)), post_(std::move(post)) {
  assignment_ = store_.watch(keys_.assignment(node), [this, key = keys_.assignment(node)](const WatchUpdate& update) {
    for (const WatchEvent& event : update.events) {
      if (event.kv.key != key) continue;  // a longer name that begins like ours
      const auto record = event.kind == WatchEvent::Kind::kPut ? assignment_from_json(event.kv.value)
                                                               : Result<AssignmentRecord>(AssignmentRecord{});
      if (record) post_(Assigned{record->job, record->ends, record->ends_in});
    }
  });
}

template <class Known, class T>
void Watches::tell(Result<T> value, const char* unreadable, const std::string& job) {
  if (value) return post_(Known{std::move(*value)});
  log::error(unreadable, {{"job", job}, {"error", to_string(value.error())}});
}

void Watches::follow(const std::string& job) {
  spec_.reset();
  plan_.reset();
  if (job.empty()) return;
  // Two narrow watches: everything else under the job (every node's progress) is none of our business. The second
  // brings the plans before the current one, too, once, for it lies beside them: one watch sees a plan and its name
  // together.
  spec_ = store_.watch(keys_.spec(job), [this, job, key = keys_.spec(job)](const WatchUpdate& update) {
    for (const WatchEvent& event : update.events) {
      if (event.kind != WatchEvent::Kind::kPut || event.kv.key != key) continue;
      tell<JobKnown>(job_from_json(event.kv.value), "job_unreadable", job);
    }
  });
  plan_ = store_.watch(keys_.plans(job), [this, job, plans = PlanFollower(keys_)](const WatchUpdate& update) mutable {
    if (auto plan = plans.take(update)) tell<PlanKnown>(std::move(*plan), "plan_unreadable", job);
  });
}

}  // namespace regroup::agent
