#include "moe/state/trace.hpp"

#include "base/log.hpp"
#include "base/now.hpp"
#include "base/random.hpp"
#include "base/replace_file.hpp"

#include <chrono>
#include <filesystem>
#include <iomanip>
#include <sstream>

namespace regroup {
namespace {

template <class AnyClock>
std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(AnyClock::now().time_since_epoch()).count();
}
std::int64_t steady_ns() { return now_ns<Clock>(); }

const char* category_of(const std::string& name) {
  const auto phase = kStepPhaseWords.find(name);
  if (phase && *phase != StepPhase::kCompute && *phase != StepPhase::kUpdate) return "exchange";
  return name == "step" ? "step" : "compute";
}

}  // namespace

void Trace::begin(Epoch epoch, Step step) {
  records_ = !file_.empty() && step.value >= profile_.from_step && step.value < profile_.from_step + profile_.steps;
  if (!records_) return;
  if (done_.empty()) {
    done_.reserve(4096);
    wall_offset_ns_ = now_ns<std::chrono::system_clock>() - steady_ns();
  }
  epoch_ = epoch;
  step_ = step;
  wave = microbatch = layer = -1;
}

void Trace::add(const char* name, std::int64_t begin_ns) {
  done_.push_back({name, begin_ns, steady_ns(), epoch_, step_, wave, microbatch, layer});
}

void Trace::end(std::int64_t begin_ns) {
  if (!records_) return;
  wave = microbatch = layer = -1;
  add("step", begin_ns);
  write();
  records_ = false;
}

void Trace::write() const {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(file_).parent_path(), error);
  std::ostringstream out;
  out << std::fixed << std::setprecision(3);
  const std::string name = to_string(worker_);
  const auto pid = static_cast<int>(random_key(0, name) & 0x3fffffffu);  // the worker's, on whatever machine
  const auto micro = [](std::int64_t ns) { return static_cast<double>(ns) / 1e3; };
  out << "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n"
      << R"({"name": "process_name", "ph": "M", "pid": )" << pid << R"(, "tid": 0, "args": {"name": ")" << name
      << R"("}})";
  for (const Done& span : done_) {
    out << ",\n"
        << R"({"name": ")" << span.name << R"(", "cat": ")" << category_of(span.name) << R"(", "ph": "X", "pid": )"
        << pid << R"(, "tid": 0, "ts": )" << micro(span.begin_ns + wall_offset_ns_) << R"(, "dur": )"
        << micro(span.end_ns - span.begin_ns) << R"(, "args": {"epoch": )" << span.epoch.value << R"(, "step": )"
        << span.step.value;
    if (span.wave >= 0) out << R"(, "wave": )" << span.wave;
    if (span.microbatch >= 0) out << R"(, "microbatch": )" << span.microbatch;
    if (span.layer >= 0) out << R"(, "layer": )" << span.layer;
    out << "}}";
  }
  out << "\n]}\n";
  if (auto written = replace_file(file_, out.str()); !written)
    log::warn("profile_not_written", {{"reason", written.error().context}});
}

TracedSpan::TracedSpan(Trace* trace, const char* name, int layer)
    : trace_(trace != nullptr && trace->records() ? trace : nullptr), name_(name) {
  if (trace_ == nullptr) return;
  outer_layer_ = trace_->layer;
  trace_->layer = layer;
  begin_ns_ = steady_ns();
}

TracedSpan::~TracedSpan() {
  if (trace_ == nullptr) return;
  trace_->add(name_, begin_ns_);
  trace_->layer = outer_layer_;
}

TracedStep::TracedStep(Trace* trace, Epoch epoch, Step step) : trace_(trace) {
  if (trace_ == nullptr) return;
  trace_->begin(epoch, step);
  begin_ns_ = steady_ns();
}

TracedStep::~TracedStep() {
  if (trace_ != nullptr) trace_->end(begin_ns_);
}

}  // namespace regroup
