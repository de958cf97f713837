// report.hpp: what a local run prints at its end: the table of events, and the summary as JSON.
#pragma once

#include "cli/local/run_record.hpp"

#include <string>

namespace regroup::cli {

std::string event_table(const std::vector<EventRow>& rows, const std::vector<RegroupRecord>& regroups);

struct SummaryFrame {           // what the journals do not say
  std::string job, dir, error;  // error: "" = good
  std::int64_t steps = 0, sequences_per_step = 0;
  double seconds = 0;
  bool schedule_ended_anew = false, terms_changed = false;
};
std::string summary_json(const RunRecord& record, const SummaryFrame& frame);

}  // namespace regroup::cli
