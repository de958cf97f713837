// story.hpp: turns journal lines into lines for people while a run goes on. Several agents report the same event (a
// plan, a suspicion, a validation); it is told once, from the first report.
#pragma once

#include "cli/local/run_record.hpp"

#include <functional>
#include <set>
#include <string>
#include <utility>

namespace regroup::cli {

class Story {
 public:
  // `steps` of the job; `note` takes a line.
  Story(std::int64_t steps, std::function<void(const std::string&)> note) : steps_(steps), note_(std::move(note)) {}

  void tell(const JournalLine& line, const RunRecord& record);  // `record` has the line
  void tell_new_epochs(const RunRecord& record);
  [[nodiscard]] const std::string& last_fault() const { return last_fault_; }
  [[nodiscard]] bool last_checkpoint_saved() const { return last_checkpoint_saved_; }

 private:
  std::int64_t steps_;
  std::function<void(const std::string&)> note_;
  std::set<Epoch> told_plans_, told_commits_;
  std::set<std::string> told_suspicions_;
  std::set<Step> told_bad_steps_;
  Step validation_told_{-1};
  bool last_checkpoint_saved_ = false;
  std::string last_fault_;
};

}  // namespace regroup::cli
