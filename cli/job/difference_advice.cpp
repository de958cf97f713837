#include "cli/job/difference_advice.hpp"

namespace regroup::cli {

std::string with_advice(const std::string& differs, const JobSpec& job) {
  const auto says = [&](const char* words) { return differs.find(words) != std::string::npos; };
  std::string text = differs;
  if (says("data: ") && says(" had an index of digest "))
    text += std::string("; data are other data, too, when their PREFIX.json names other inputs or another tokenizer") +
            (job.data_mix.empty() ? "" : ", and a mixture when a set, its place or a weight is another");
  if (says("optimizer.schedule_steps: ") && !says(" keeps it") && job.optimizer.schedule_steps == 0 &&
      job.optimizer.schedule != ScheduleKind::kConstant)
    text +=
        "; the file does not say optimizer.schedule_steps, so that the schedule ends with the last step: the old "
        "number there keeps it";
  return text;
}

}  // namespace regroup::cli
