#include "cli/local/session.hpp"

#include "api/records.hpp"
#include "base/log.hpp"
#include "base/now.hpp"
#include "checkpoint/io/writable.hpp"
#include "cli/job/cluster_file.hpp"
#include "cli/job/submit.hpp"
#include "store/etcd/etcd_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <thread>

namespace regroup::cli {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr const char* kCluster = "local";
// at least: what is written in one burst is read together; the cores belong to the workers
constexpr milliseconds kBetweenLooks{25};
constexpr milliseconds kLongestWait{250};  // for the live line and the limits
constexpr std::int64_t kOutcomeWaitMs = 20'000;

}  // namespace

LocalSession::LocalSession(const LocalOptions& options, ProgressLine& live,
                           const volatile std::sig_atomic_t& interrupted)
    : options_(options),
      live_(live),
      interrupted_(interrupted),
      keys_(kCluster),
      story_(options.job.steps, [this](const std::string& text) { note(text); }) {}

void LocalSession::shut_down(double seconds) {
  watch_.reset();
  happenings_.reset();
  store_.reset();
  if (cluster_) cluster_->shut_down(seconds);
}

void LocalSession::note(const std::string& text) { live_.say(fmt::format("[{:7.2f} s] {}", seconds(), text)); }

Result<void> LocalSession::start() {
  std::error_code error;
  fs::create_directories(options_.dir, error);
  if (error) return Error{Code::kBadInput, "cannot make the directory " + options_.dir + ": " + error.message()};
  if (auto writable = checkpoint::prove_writable(options_.job.snapshots.checkpoint_dir); !writable)
    return Error{Code::kBadInput, "snapshots.dir: " + writable.error().context};
  // the store's warnings would break the live line
  log::start("regroup", log::Level::kInfo, options_.dir + "/regroup.log");
  ClusterOptions cluster;
  cluster.dir = options_.dir;
  cluster.programs = options_.programs;
  cluster.name = kCluster;
  cluster.coordinators = options_.coordinators;
  cluster.metrics = options_.metrics;
  cluster.worker_env = options_.worker_env;
  auto started = Cluster::start(cluster);
  if (!started) return started.error();
  cluster_ = std::move(*started);
  if (auto written = write_cluster_file(options_.dir, {cluster_->endpoint(), kCluster, options_.job.name}); !written)
    return written;

  auto store = EtcdStore::open(cluster_->endpoint());
  if (!store) return store.error();
  store_ = std::move(*store);
  auto submitted = submit(*store_, keys_, options_.job, SubmitWhere::kLocal);
  if (!submitted) return submitted.error();
  note(fmt::format("etcd on {}, {} coordinator{}; job {}: {} steps, {:.1f} M parameters{}", cluster_->endpoint(),
                   options_.coordinators, options_.coordinators == 1 ? "" : "s", options_.job.name, options_.job.steps,
                   static_cast<double>(count_parameters(options_.job.model)) / 1e6,
                   *submitted == Submitted::kGoesOn       ? "; it was begun in this directory and goes on"
                   : *submitted == Submitted::kBeginsAnew ? "; it was begun in this directory and ended before a "
                                                            "checkpoint was written: it begins anew"
                                                          : ""));
  watch_ = std::make_unique<JobWatch>(*store_, keys_, options_.job.name, [this] { wakeup_.wake(); });

  auto nodes = options_.first_nodes;
  if (nodes.empty())
    for (int i = 1; i <= options_.nodes; ++i) nodes.push_back("node-" + std::to_string(i));
  happenings_.emplace(options_.events, static_cast<int>(nodes.size()),
                      HappeningsWorld{*cluster_, *store_, keys_, options_.job.name, record_,
                                      [this](const std::string& text) { note(text); },
                                      [this](const std::string& node) { return start_node(node); },
                                      [this] { last_progress_ms_ = wall_ms(); }});
  for (const auto& node : nodes)
    if (auto one = start_node(node); !one) return one;
  return {};
}

Result<void> LocalSession::start_node(const std::string& node) {
  std::error_code error;
  fs::create_directories(cluster_->node_dir(node), error);
  wakeup_.watch_directory(cluster_->node_dir(node));
  journals_.follow(cluster_->node_dir(node) + "/journal.jsonl");
  return cluster_->start_node(node);
}

void LocalSession::wait_until_something_happens() {
  std::this_thread::sleep_until(next_look_);
  const auto due_in = happenings_->next_due_ms() - wall_ms();
  wakeup_.wait(std::min(kLongestWait, milliseconds(std::clamp<std::int64_t>(due_in, 0, kLongestWait.count()))));
  next_look_ = std::chrono::steady_clock::now() + kBetweenLooks;
}

void LocalSession::read_journals() {
  const std::vector<JournalLine> lines = journals_.read_new_lines();
  for (const auto& line : lines) {
    record_.add(line);
    story_.tell(line, record_);
    if (line.event == JournalEvent::kCommitted) last_progress_ms_ = wall_ms();
  }
  if (!lines.empty()) story_.tell_new_epochs(record_);
}

Result<void> LocalSession::check_outcome() const {
  const JobOutcome outcome = watch_->outcome();
  if (outcome.state == JobState::kUnknown || outcome.state == JobState::kFinished || interrupted_ > 0) return {};
  return Error{Code::kInternal, "the job " + to_string(outcome.state) + ": " + outcome.reason};
}

Result<void> LocalSession::check_progress() {
  for (const auto& end : cluster_->unexpected_ends()) {
    note("ended     " + end.text);
    if (cluster_->nodes().empty() && happenings_->over()) return Error{Code::kInternal, "no node is left: " + end.text};
    const bool only_coordinator = end.of == UnexpectedEnd::Of::kCoordinator && options_.coordinators == 1;
    if (record_.first_commit_at_ms() == 0 && only_coordinator) return Error{Code::kInternal, end.text};
  }
  if (!record_.contradiction().empty())
    return Error{Code::kCorrupt, "members contradict each other: " + record_.contradiction()};
  if (auto good = check_outcome(); !good) return good;
  const JobStatus status = watch_->status();
  const std::string told = to_string(status.state) + ": " + status.reason;
  job_state_ = status.state;
  // What is decided, noticed and overcome is told from the journals.
  const bool told_elsewhere = status.state == JobState::kUnknown || status.state == JobState::kTraining ||
                              status.state == JobState::kRegrouping;
  if (!told_elsewhere && told != job_state_told_) {
    job_state_told_ = told;
    note("job       " + told);
  }
  // a trace may hold hours without a machine
  if (cluster_->nodes().empty()) last_progress_ms_ = std::max(last_progress_ms_, !happenings_->over() ? wall_ms() : 0);
  if (static_cast<double>(wall_ms() - last_progress_ms_) > options_.stall_seconds * 1000)
    return Error{Code::kTimeout,
                 fmt::format("no step was committed for {:.0f} s; the job is {} ({}){}", options_.stall_seconds,
                             status.state == JobState::kUnknown ? "not looked at" : to_string(status.state),
                             status.reason, story_.last_fault().empty() ? "" : "; last fault: " + story_.last_fault())};
  return {};
}

void LocalSession::show_live() {
  const auto& plans = record_.plans();
  const auto plan = plans.find(record_.newest_epoch());
  std::string text = fmt::format("[{:7.2f} s] step {}/{}", seconds(), record_.newest_step().value, options_.job.steps);
  const int members = plan == plans.end() ? 0 : plan->second.num_members;
  if (record_.first_commit_at_ms() > 0)
    text += fmt::format("  loss {:.4f}  {:.0f} tokens/s  {} member{}  epoch {}", record_.newest_loss(),
                        record_.recent_tokens_per_second(wall_ms()), members, members == 1 ? "" : "s",
                        record_.newest_epoch().value);
  if (job_state_ != JobState::kUnknown && job_state_ != JobState::kTraining && job_state_ != JobState::kFinished)
    text += "  " + to_string(job_state_);
  live_.show(text);
}

Result<void> LocalSession::loop() {
  while (interrupted_ == 0 && !record_.finished()) {
    read_journals();
    if (auto done = happenings_->do_due(); !done) return done;
    if (auto good = check_progress(); !good) return good;
    if (watch_->outcome().state != JobState::kUnknown) break;  // finished: the journals say so too, or never will
    show_live();
    wait_until_something_happens();
  }
  return {};
}

// The members end when the last checkpoint's save has: what is left is the outcome in etcd.
Result<void> LocalSession::wait_for_the_end() {
  const auto begin = wall_ms();
  while (interrupted_ == 0) {
    read_journals();
    cluster_->unexpected_ends();
    if (auto good = check_outcome(); !good) return good;
    const bool over = watch_->outcome().state != JobState::kUnknown;
    if (over && record_.finished()) return {};
    if (wall_ms() - begin > kOutcomeWaitMs) {
      if (!record_.finished())
        return Error{Code::kTimeout, "the job is over, but no worker reported the digest of its weights"};
      // where nothing was trained, the last step lies in a checkpoint already
      if (!options_.job.snapshots.checkpoint_dir.empty() && record_.first_commit_at_ms() > 0 &&
          !story_.last_checkpoint_saved())
        return Error{Code::kTimeout,
                     "no coordinator wrote the job's outcome, and nobody said that the last checkpoint is written"};
      note("warning   no coordinator wrote the job's outcome");
      return {};
    }
    wait_until_something_happens();
  }
  return {};
}

// As `regroup stop`: the members save the step under way.
Result<void> LocalSession::save_and_stop() {
  read_journals();  // what was committed since the last look is worth saving
  if (options_.job.snapshots.checkpoint_dir.empty() || record_.first_commit_at_ms() == 0) return {};
  WishRecord wish;
  wish.kind = WishKind::kStop;
  if (auto put = store_->put(keys_.wish(options_.job.name, "stop"), to_json(wish)); !put) {
    note("warning   it stops without saving: " + put.error().context);
    return {};
  }
  note("stopping  the step under way is saved first; once more stops at once");
  while (interrupted_ < 2 && watch_->outcome().state == JobState::kUnknown) {
    read_journals();
    if (auto good = check_progress(); !good) return good;
    show_live();
    wait_until_something_happens();
  }
  read_journals();
  if (const JobOutcome outcome = watch_->outcome(); outcome.state != JobState::kUnknown)
    note("stopped   " + outcome.reason);
  return {};
}

Result<void> LocalSession::run() {
  if (auto started = start(); !started) return started;
  last_progress_ms_ = wall_ms();
  if (auto ended = loop(); !ended) return ended;
  if (auto ended = interrupted_ == 0 ? wait_for_the_end() : save_and_stop(); !ended) return ended;
  if (!record_.contradiction().empty())
    return Error{Code::kCorrupt, "members contradict each other: " + record_.contradiction()};
  return {};
}

}  // namespace regroup::cli
