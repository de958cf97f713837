// session.hpp: one local run, from the start of its processes until its job is over or interrupted.
//
// A loop on the main thread: read the agents' journals, carry out the events that are due, check that training makes
// progress, then sleep until a journal grows, a child ends, etcd changes or a limit is near.
#pragma once

#include "api/keys.hpp"
#include "base/now.hpp"
#include "cli/job/progress_line.hpp"
#include "cli/local/cluster.hpp"
#include "cli/local/happenings.hpp"
#include "cli/local/job_watch.hpp"
#include "cli/local/journal_reader.hpp"
#include "cli/local/local_run.hpp"
#include "cli/local/story.hpp"
#include "cli/local/wakeup.hpp"
#include "store/store.hpp"

#include <chrono>
#include <csignal>
#include <memory>
#include <optional>

namespace regroup::cli {

class LocalSession {
 public:
  // `interrupted`: how often a signal came; the first time the step under way is saved, the second time ends every
  // wait.
  LocalSession(const LocalOptions& options, ProgressLine& live, const volatile std::sig_atomic_t& interrupted);

  // Until the job is over or interrupted; an error says why it went wrong.
  Result<void> run();
  [[nodiscard]] const RunRecord& record() const { return record_; }
  [[nodiscard]] double seconds() const { return static_cast<double>(wall_ms() - started_ms_) / 1000; }
  void shut_down(double seconds);  // of everything that was started; it gets so long to end by itself

 private:
  Result<void> start();
  Result<void> start_node(const std::string& node);
  Result<void> loop();
  Result<void> wait_for_the_end();
  Result<void> save_and_stop();
  void read_journals();
  void wait_until_something_happens();
  // the job is over, and not because all of it is done and saved
  [[nodiscard]] Result<void> check_outcome() const;
  Result<void> check_progress();
  void note(const std::string& text);
  void show_live();

  const LocalOptions& options_;
  ProgressLine& live_;
  const volatile std::sig_atomic_t& interrupted_;
  Wakeup wakeup_;
  std::chrono::steady_clock::time_point next_look_{};
  Keys keys_;
  std::int64_t started_ms_ = wall_ms();
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<JobWatch> watch_;
  Journals journals_;
  RunRecord record_;
  Story story_;
  std::optional<Happenings> happenings_;
  std::int64_t last_progress_ms_ = wall_ms();
  std::string job_state_told_;
  JobState job_state_ = JobState::kUnknown;
};

}  // namespace regroup::cli
