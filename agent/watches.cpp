#include "agent/watches.hpp"

#include "base/log.hpp"

#include <utility>

namespace regroup::agent {
namespace {

// Each value of one key as an event; what cannot be read is said in the log by the name `unreadable`. `post` outlives
// the watch.
template <class Known, class Parse>
std::unique_ptr<Watch> watch_value(Store& store, const std::string& key, Parse parse, const char* unreadable,
                                   const std::function<void(Event)>& post) {
  return store.watch(key, [key, parse, unreadable, &post](const WatchUpdate& update) {
    for (const WatchEvent& event : update.events) {
      if (event.kind != WatchEvent::Kind::kPut || event.kv.key != key) continue;
      if (auto value = parse(event.kv.value)) {
        post(Known{std::move(*value)});
      } else {
        log::error(unreadable, {{"key", key}, {"error", to_string(value.error())}});
      }
    }
  });
}

}  // namespace

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

void Watches::follow(const std::string& job) {
  spec_.reset();
  plan_.reset();
  if (job.empty()) return;
  // Two narrow watches: everything else under the job (every node's progress) is none of our business.
  spec_ = watch_value<JobKnown>(store_, keys_.spec(job), job_from_json, "job_unreadable", post_);
  plan_ = watch_value<PlanKnown>(store_, keys_.current_plan(job), plan_from_json, "plan_unreadable", post_);
}

}  // namespace regroup::agent
