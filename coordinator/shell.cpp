#include "coordinator/shell.hpp"

#include "base/json_fields.hpp"
#include "base/log.hpp"
#include "checkpoint/io/wanted.hpp"
#include "store/join_updates.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <vector>

namespace regroup::coordinator {
namespace {

// More than a healthy loop ever lets wait; then updates of the watch become one.
constexpr std::size_t kMostEvents = 4096;

Folded joins(Event& queued, Event& event) {
  auto* first = std::get_if<StoreUpdate>(&queued);
  auto* second = std::get_if<StoreUpdate>(&event);
  if (first == nullptr || second == nullptr) return Folded::kNotKin;
  return join_updates(first->update, second->update) ? Folded::kTaken : Folded::kMustStand;
}

const char* word_of(Write::Kind kind) {
  switch (kind) {
    case Write::Kind::kPublishPlan:
      return "publish_plan";
    case Write::Kind::kAssign:
      return "assign";
    case Write::Kind::kUnassign:
      return "unassign";
    case Write::Kind::kStatus:
      return "status";
    case Write::Kind::kOutcome:
      return "outcome";
    case Write::Kind::kEnd:
      return "end";
    case Write::Kind::kBorn:
      return "born";
    case Write::Kind::kRemove:
      return "remove";
  }
  return "?";
}

}  // namespace

CoordinatorShell::CoordinatorShell(Store& store, CoordinatorOptions options)
    : store_(store),
      options_(std::move(options)),
      core_(options_.cluster, options_.id, options_.timing),
      inbox_(kMostEvents) {}

void CoordinatorShell::stop() { inbox_.close(); }

void CoordinatorShell::run() {
  const Keys keys(options_.cluster);
  const auto watch =
      store_.watch(keys.root(), [this](const WatchUpdate& update) { inbox_.post_or_fold(StoreUpdate{update}, joins); });
  Election election(
      store_, {keys.leader(), options_.id, options_.leader_ttl},
      [&](const Compare& fence) {
        leads_ = true;
        counters_.change([](auto& c) { ++c.leaderships; });
        inbox_.post(LeadershipGained{fence.key, fence.number});
      },
      [&] {
        leads_ = false;
        inbox_.post(LeadershipLost{});
      });
  auto next_tick = std::chrono::steady_clock::now();
  auto next_pulse = next_tick;
  for (;;) {
    std::deque<Event> events = inbox_.wait_until(next_tick);
    if (inbox_.closed()) break;
    const auto at = std::chrono::steady_clock::now();
    if (at >= next_tick) {
      events.emplace_back(Tick{});
      next_tick = at + options_.tick;
    }
    if (at >= next_pulse) {
      next_pulse = at + options_.timing.contact_gap / 3;
      if (!pulse_under_way_.exchange(true)) {
        pulse_.post([this, key = keys.leader()] {
          const auto answer = store_.get(key);
          const bool answered = answer || answer.error().code == Code::kNotFound;
          if (answered) inbox_.post(EtcdContact{});
          log_trouble(answered ? "" : answer.error().context);
          pulse_under_way_ = false;
        });
      }
    }
    {
      const LockGuard core_lock(core_mutex_);
      const std::vector<Event> batch(std::make_move_iterator(events.begin()), std::make_move_iterator(events.end()));
      for (const Action& action : core_.step(read_clocks(), batch)) perform(action);
      tell_contact();
    }
  }
  election.resign();
}

void CoordinatorShell::perform(const Action& action) {
  if (const auto* request = std::get_if<ScanCheckpoints>(&action)) {
    scanner_.post([this, scan_request = *request] { scan(scan_request); });
    return;
  }
  const auto& write = std::get<Write>(action);
  if (write.plan) {
    const Plan& plan = *write.plan;
    log::info("plan_decided", {{"job", plan.job},
                               {"epoch", plan.epoch.value},
                               {"parent", plan.parent.value},
                               {"cause", to_string(plan.cause)},
                               {"members", plan.members.size()},
                               {"groups", plan.placement.groups.size()},
                               {"when", kWhenWords(plan.when)},
                               {"reason", plan.reason}});
  } else {
    log::info("write", {{"what", word_of(write.kind)}, {"key", write.key}, {"reason", write.reason}});
  }
  writer_.post([this, write] { transact(write); });
}

void CoordinatorShell::transact(const Write& write) {
  const auto done = store_.txn(write.when, write.then);
  WriteFinished finished{write.id, WriteOutcome::kDone, 0};
  if (done) {
    finished.outcome = done->succeeded ? WriteOutcome::kDone : WriteOutcome::kRefused;
    finished.revision = done->revision;
    inbox_.post(EtcdContact{});
  } else if (done.error().code == Code::kUnknown) {
    finished = read_back(write);
  } else {
    finished.outcome = WriteOutcome::kFailed;
    log::warn_often("write_failed",
                    {{"what", word_of(write.kind)}, {"key", write.key}, {"error", to_string(done.error())}});
  }
  counters_.change([&](auto& c) {
    c.store_errors += finished.outcome == WriteOutcome::kFailed ? 1 : 0;
    c.plan_conflicts += write.plan && finished.outcome == WriteOutcome::kRefused ? 1 : 0;
    if (!write.plan || finished.outcome != WriteOutcome::kDone) return;
    ++c.plans_published;
    metrics::JobCounters& job = c.jobs[write.plan->job];
    ++job.plans[to_string(write.plan->cause)];
    job.decide_seconds.observe(
        static_cast<double>(std::max<std::int64_t>(0, read_clocks().wall_ms - write.plan->detected_at_ms)) / 1000);
  });
  if (write.plan && finished.outcome == WriteOutcome::kRefused) {
    log::warn("plan_refused", {{"epoch", write.plan->epoch.value},
                               {"reason", "etcd holds another leader or another plan than this one was made from"}});
  }
  inbox_.post(finished);
}

// No answer came, so the transaction may have happened or not. Reads the key, until etcd answers, to find out. Should
// the transaction happen after that, its conditions do not hold any more.
WriteFinished CoordinatorShell::read_back(const Write& write) {
  while (leads_) {
    const auto found = store_.get(write.key);
    const bool removes = write.value.empty();
    if (found) {
      const bool same = !removes && found->value == write.value;
      return {write.id, same ? WriteOutcome::kDone : WriteOutcome::kRefused, found->mod_revision};
    }
    if (found.error().code == Code::kNotFound)
      return {write.id, removes ? WriteOutcome::kDone : WriteOutcome::kRefused, 0};
    log::warn_often("outcome_unknown", {{"key", write.key}, {"error", to_string(found.error())}});
    if (inbox_.wait_closed(options_.timing.retry)) break;
  }
  return {write.id, WriteOutcome::kFailed, 0};
}

void CoordinatorShell::scan(const ScanCheckpoints& request) {
  CheckpointsScanned answer{request.job, std::nullopt, {}};
  const auto found =
      checkpoint::find_newest_checkpoint(request.spec.snapshots.checkpoint_dir, checkpoint::wanted_by(request.spec));
  if (found) {
    const checkpoint::CheckpointInfo& info = found->manifest.info;
    std::int64_t bytes = 0;
    for (const checkpoint::ManifestFile& file : found->manifest.files) bytes += file.bytes;
    answer.newest = CheckpointRecord{info.step, info.epoch, found->path, bytes};
    for (const std::string& skipped : found->skipped)
      log::warn("checkpoint_skipped", {{"job", request.job}, {"reason", skipped}});
    for (const std::string& note : found->notes)
      log::warn("checkpoint_differs", {{"job", request.job}, {"note", note}});
  } else if (found.error().code != Code::kNotFound) {
    answer.problem = found.error().context;
  }
  inbox_.post(answer);
}

void CoordinatorShell::tell_contact() {
  const bool connected = core_.view().session(read_clocks()) > Span(0);
  if (connected == connected_) return;
  connected_ = connected;
  if (connected) {
    log::info("etcd_answers");
  } else {
    log::warn("etcd_out_of_contact", {{"note", "jobs go on; no member can be replaced until it does"}});
  }
}

void CoordinatorShell::log_trouble(const std::string& trouble) {
  trouble_.change([&](std::string& known) { known = trouble; });
  if (trouble.empty()) {
    told_trouble_.is_over();
  } else if (told_trouble_.is_news(trouble, std::chrono::steady_clock::now())) {
    log::warn("etcd_trouble", {{"error", trouble}});
  }
}

metrics::CoordinatorCounters CoordinatorShell::counters() const {
  metrics::CoordinatorCounters counters = counters_.copy();
  const LockGuard core_lock(core_mutex_);
  core_.fill(counters);
  counters.store_connected = connected_;
  return counters;
}

std::string CoordinatorShell::status_json() const {
  const LockGuard core_lock(core_mutex_);
  nlohmann::json status = {{"id", options_.id},
                           {"cluster", options_.cluster},
                           {"leading", core_.leads()},
                           {"nodes", core_.view().nodes().size()},
                           {"jobs", nlohmann::json::object()}};
  for (const auto& [name, job] : core_.statuses()) status["jobs"][name] = json::parse_text(to_json(job)).value();
  return status.dump();
}

}  // namespace regroup::coordinator
