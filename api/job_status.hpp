// job_status.hpp: what the leading coordinator writes about a job, for people and the command line: jobs/<job>/status
// and jobs/<job>/outcome.
#pragma once

#include "api/words.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"

#include <string>
#include <vector>

namespace regroup {

// Rewritten only when it changes.
struct JobStatus {
  JobState state = JobState::kUnknown;
  std::string reason;                // a sentence: what it does, or what it waits for
  Epoch epoch;                       // of the current plan; 0 = none yet
  std::vector<std::string> members;  // worker ids in order of rank
  std::vector<std::string> notes;    // nodes refused or about to leave, each a sentence
  std::string coordinator;           // id of the one that wrote this
  friend bool operator==(const JobStatus&, const JobStatus&) = default;
};

// Written once; the job is over.
struct JobOutcome {
  JobState state = JobState::kUnknown;  // unknown: not over
  std::string reason;
  Step step;                   // last one known to be committed
  std::string weights_sha256;  // when finished; when failed: all steps are committed, and the last one is not saved
  friend bool operator==(const JobOutcome&, const JobOutcome&) = default;
};

std::string to_json(const JobStatus& status);
std::string to_json(const JobOutcome& outcome);
Result<JobStatus> job_status_from_json(const std::string& text);
Result<JobOutcome> job_outcome_from_json(const std::string& text);

}  // namespace regroup
