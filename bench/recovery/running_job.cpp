#include "bench/recovery/running_job.hpp"

#include "api/job_status.hpp"
#include "api/records.hpp"
#include "base/now.hpp"
#include "cli/job/submit.hpp"
#include "store/etcd/etcd_store.hpp"

#include <algorithm>
#include <thread>

namespace regroup::bench {

volatile int interrupted = 0;

Result<std::unique_ptr<RunningJob>> RunningJob::start(const RunningJobOptions& options) {
  std::unique_ptr<RunningJob> running(new RunningJob(options));
  cli::ClusterOptions cluster;
  cluster.dir = options.dir;
  cluster.programs = options.programs;
  cluster.name = kCluster;
  cluster.coordinators = options.coordinators;
  auto started = cli::Cluster::start(cluster);
  if (!started) return started.error();
  running->cluster_ = std::move(*started);
  auto store = EtcdStore::open(running->cluster_->endpoint());
  if (!store) return store.error();
  running->store_ = std::move(*store);
  if (auto submitted = cli::submit(*running->store_, running->keys_, options.job, cli::SubmitWhere::kCluster);
      !submitted)
    return submitted.error();
  for (int i = 1; i <= options.nodes; ++i) {
    const std::string node = "node-" + std::to_string(i);
    running->nodes_.push_back(node);
    running->journals_.emplace(node, cli::FileTail(running->cluster_->node_dir(node) + "/journal.jsonl"));
    if (auto one = running->cluster_->start_node(node); !one) return one.error();
  }
  return running;
}

RunningJob::~RunningJob() {
  store_.reset();
  if (cluster_) cluster_->shut_down(0);
}

Result<void> RunningJob::look() {
  std::vector<cli::JournalLine> lines;
  for (auto& [node, tail] : journals_) {
    for (const auto& text : tail.read_new_lines()) {
      if (auto line = cli::parse_journal_line(text)) lines.push_back(std::move(*line));
    }
  }
  std::stable_sort(lines.begin(), lines.end(), [](const auto& a, const auto& b) { return a.at_ms < b.at_ms; });
  for (const auto& line : lines) {
    timeline_.add(line);
    record_.add(line);
    if (line.event == JournalEvent::kWorkerReady) worker_pids_[line.node] = line.pid;
    if (line.event == JournalEvent::kWorkerExited) worker_pids_.erase(line.node);
  }
  if (!record_.contradiction().empty())
    return Error{Code::kCorrupt, "members contradict each other: " + record_.contradiction()};
  for (const auto& end : cluster_->unexpected_ends()) last_end_ = end.text;
  for (std::size_t i = 0; i < due_.size();) {
    if (due_[i].at_ms > wall_ms()) {
      ++i;
      continue;
    }
    const Due due = std::move(due_[i]);
    due_.erase(due_.begin() + static_cast<std::ptrdiff_t>(i));
    if (auto done = due.what(); !done) return done;
  }
  return {};
}

void RunningJob::later(std::int64_t ms, std::function<Result<void>()> what) {
  due_.push_back({wall_ms() + ms, std::move(what)});
}

Result<void> RunningJob::wait_for(const std::function<bool()>& condition, double seconds, const std::string& what) {
  const std::int64_t until = wall_ms() + static_cast<std::int64_t>(seconds * 1000);
  for (;;) {
    if (auto looked = look(); !looked) return looked;
    if (condition()) return {};
    if (interrupted != 0) return Error{Code::kUnavailable, "interrupted"};
    if (wall_ms() > until)
      return Error{Code::kTimeout, "waited " + std::to_string(static_cast<int>(seconds)) + " s for " + what + "; " +
                                       what_the_cluster_says()};
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Result<Plan> RunningJob::plan(Epoch epoch) {
  auto value = store_->get(keys_.plan(options_.job.name, epoch));
  if (!value) return value.error();
  return plan_from_json(value->value);
}

Result<void> RunningJob::drain(const std::string& node) {
  WishRecord wish;
  wish.kind = WishKind::kDrain;
  wish.node = NodeId(node);
  auto put = store_->put(keys_.wish(options_.job.name, drain_wish(NodeId(node))), to_json(wish));
  if (!put) return put.error();
  return {};
}

Result<void> RunningJob::undo_drain(const std::string& node) {
  auto erased = store_->erase(keys_.wish(options_.job.name, drain_wish(NodeId(node))));
  if (!erased) return erased.error();
  return {};
}

Result<std::vector<std::string>> RunningJob::coordinators() {
  auto listing = store_->list(keys_.leader() + "/");
  if (!listing) return listing.error().within("who leads?");
  std::sort(listing->keys.begin(), listing->keys.end(),
            [](const auto& a, const auto& b) { return a.create_revision < b.create_revision; });
  std::vector<std::string> ids;
  for (const auto& key : listing->keys) ids.push_back(key.value);
  return ids;
}

std::string RunningJob::what_the_cluster_says() const {
  std::string text = "step " + std::to_string(record_.newest_step().value) + " is the newest";
  if (const auto value = store_->get(keys_.status(options_.job.name))) {
    if (const auto status = job_status_from_json(value->value))
      text += "; the job is " + to_string(status->state) + ": " + status->reason;
  }
  if (!last_end_.empty()) text += "; " + last_end_;
  return text + "; logs are in " + options_.dir;
}

}  // namespace regroup::bench
