// trace.hpp: a timeline of a worker's work in a few steps, in the Chrome trace format (Perfetto opens it).
//
// A span covers a piece of work and carries the step, wave, microbatch and layer that it belongs to. Times are
// wall-clock (one offset for all steps of a file), so that the files of several workers line up; a worker is a process
// of the trace. One thread. Outside the steps that are asked for, a span is two comparisons.
#pragma once

#include "api/job_spec.hpp"
#include "base/ids.hpp"
#include "base/step_phase.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace regroup {

class Trace {
 public:
  // Steps [profile.from_step, profile.from_step + profile.steps) go into `file`, whose directory is made; it is
  // replaced as a whole after each of them. A file that cannot be written is a warning in the log.
  Trace(ProfileSpec profile, std::string file, WorkerId worker)
      : profile_(profile), file_(std::move(file)), worker_(std::move(worker)) {}

  [[nodiscard]] bool records() const { return records_; }

  // Attached to the spans that end from now on; -1: none.
  int wave = -1, microbatch = -1, layer = -1;

 private:
  friend class TracedSpan;
  friend class TracedStep;
  struct Done {
    const char* name;
    std::int64_t begin_ns, end_ns;  // steady clock
    Epoch epoch;
    Step step;
    int wave, microbatch, layer;
  };
  void begin(Epoch epoch, Step step);
  void end(std::int64_t begin_ns);
  void add(const char* name, std::int64_t begin_ns);
  void write() const;

  ProfileSpec profile_;
  std::string file_;
  WorkerId worker_;
  bool records_ = false;
  std::int64_t wall_offset_ns_ = 0;
  Epoch epoch_;
  Step step_;
  std::vector<Done> done_;
};

// From here to the end of the block. `trace` may be null. `name` is a literal.
class TracedSpan {
 public:
  TracedSpan(Trace* trace, const char* name) : TracedSpan(trace, name, trace != nullptr ? trace->layer : -1) {}
  TracedSpan(Trace* trace, const char* name, int layer);
  TracedSpan(Trace* trace, StepPhase phase)
      : TracedSpan(trace, kStepPhaseWords.words.at(static_cast<std::size_t>(phase))) {}
  ~TracedSpan();
  TracedSpan(const TracedSpan&) = delete;
  TracedSpan& operator=(const TracedSpan&) = delete;

 private:
  Trace* trace_;
  const char* name_;
  int outer_layer_ = -1;
  std::int64_t begin_ns_ = 0;
};

// A whole step, interrupted or not: records if it is one of those asked for, and writes the file at its end.
class TracedStep {
 public:
  TracedStep(Trace* trace, Epoch epoch, Step step);
  ~TracedStep();
  TracedStep(const TracedStep&) = delete;
  TracedStep& operator=(const TracedStep&) = delete;

 private:
  Trace* trace_;
  std::int64_t begin_ns_ = 0;
};

}  // namespace regroup
