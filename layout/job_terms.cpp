#include "layout/job_terms.hpp"

namespace regroup {
namespace {

// Collects "seed: the checkpoint's job had 1, this one has 2; ...".
class Differences {
 public:
  explicit Differences(const std::string& whose) : whose_(whose) {}
  void compare(const std::string& key, const std::string& had, const std::string& has) {
    if (had != has) add(key + ": " + whose_ + " had " + had + ", this one has " + has);
  }
  void compare(const std::string& key, std::int64_t had, std::int64_t has) {
    compare(key, std::to_string(had), std::to_string(has));
  }
  void add(const std::string& text) { text_ += (text_.empty() ? "" : "; ") + text; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string whose_;
  std::string text_;
};

std::string value_of(const std::map<std::string, std::string>& values, const std::string& key) {
  const auto found = values.find(key);
  return found == values.end() ? "nothing" : found->second;
}

// What a user may want to be otherwise from some step on.
bool is_course(const std::string& key) { return key == "data" || key.starts_with("optimizer."); }

void compare_values(Differences& differences, const JobTerms& had, const JobTerms& has, const MayChange& may) {
  bool other_course = false;
  const auto compare = [&](const std::string& key, const std::string& then, const std::string& now) {
    if (then == now || (may.course && is_course(key))) return;
    differences.compare(key, then, now);
    other_course = other_course || is_course(key);
  };
  for (const auto& [key, value] : had.values) compare(key, value, value_of(has.values, key));
  for (const auto& [key, value] : has.values)
    if (!had.values.contains(key)) compare(key, "nothing", value);
  if (other_course) differences.add("--other-terms lets a job go on with another optimizer or other data");
}

void compare_steps(Differences& differences, const JobTerms& had, Step step, const JobTerms& has,
                   const MayChange& may) {
  if (has.steps < step.value) {
    differences.add("steps: " + std::to_string(step.value) + " are done already, this job has " +
                    std::to_string(has.steps));
  } else if (has.steps > had.steps && !may.steps) {
    differences.compare("steps", had.steps, has.steps);
    differences.add("--extend lengthens a job");
    return;  // its schedule's end follows from the steps, as a rule
  }
  if (had.schedule_end == has.schedule_end && had.decay_steps == has.decay_steps) return;
  if (may.course || (may.steps && may.schedule_end)) return;
  const bool both_fall = had.schedule_end > 0 && has.schedule_end > 0;
  if (may.steps && has.steps > had.steps && both_fall && had.schedule_end != has.schedule_end) {
    const std::string key = "optimizer.schedule_steps: ";
    return differences.add("the learning rate fell until step " + std::to_string(had.schedule_end) +
                           ", and with more steps you must say which end counts: " + key +
                           std::to_string(had.schedule_end) + " keeps it, " + key + std::to_string(has.steps) +
                           " ends it anew");
  }
  if (has.steps < step.value) return;  // said
  differences.compare("optimizer.schedule_steps", had.schedule_end, has.schedule_end);
  differences.compare("optimizer.decay_steps", had.decay_steps, has.decay_steps);
}

}  // namespace

std::string contradiction(const std::string& whose, const JobTerms& had, Step step, const JobTerms& has,
                          const MayChange& may) {
  Differences differences(whose);
  compare_values(differences, had, has, may);
  compare_steps(differences, had, step, has, may);
  if (may.numbers) return differences.text();
  const bool other_numbers = had.sample_order != has.sample_order || had.sums != has.sums;
  differences.compare("sample_order", had.sample_order, has.sample_order);
  differences.compare("sums", had.sums, has.sums);
  if (other_numbers) differences.add("allow_mixed_fingerprints lets it go on with other bits");
  return differences.text();
}

}  // namespace regroup
