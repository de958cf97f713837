// report.hpp: what a local run prints: the live line, event lines, the table at the end, the summary as JSON.
#pragma once

#include "cli/local/run_record.hpp"

#include <cstdio>
#include <string>

namespace regroup::cli {

// One line that is rewritten on a terminal; in a file a line every few seconds. Other lines go above it.
class LiveLine {
 public:
  explicit LiveLine(std::FILE* out);
  void show(const std::string& text, std::int64_t now_ms);  // may be called often
  void say(const std::string& line);                        // stays
  void clear();

 private:
  std::FILE* out_;
  bool terminal_;
  bool shown_ = false;
  std::int64_t last_ms_ = 0;
  std::string last_text_;
};

std::string bytes_text(std::int64_t bytes);  // 1.5 MB
std::string event_table(const std::vector<EventRow>& rows, const std::vector<RegroupRecord>& regroups);

struct SummaryFrame {           // what the journals do not say
  std::string job, dir, error;  // error: "" = good
  std::int64_t steps = 0, sequences_per_step = 0;
  double seconds = 0;
};
std::string summary_json(const RunRecord& record, const SummaryFrame& frame);

}  // namespace regroup::cli
