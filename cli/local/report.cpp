#include "cli/local/report.hpp"

#include "base/bytes_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>

namespace regroup::cli {
namespace {

double round_to(double value, double unit) { return std::round(value / unit) * unit; }

std::string ms_text(double ms) { return ms < 10 ? fmt::format("{:.1f}", ms) : fmt::format("{:.0f}", ms); }

std::string row_text(const std::string& event, const RegroupRecord& r) {
  return fmt::format("{:<34} {:<12} {:>5} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10} {:<14} {:>5}\n", event,
                     kCauseWords(r.cause), r.epoch.value, ms_text(r.detect_ms), ms_text(r.decide_ms),
                     ms_text(r.stop_ms), ms_text(r.agree_ms), ms_text(r.move_ms), ms_text(r.first_commit_ms),
                     ms_text(r.total_ms), bytes_text(r.bytes_moved), r.source, r.steps_lost);
}

}  // namespace

std::string event_table(const std::vector<EventRow>& rows, const std::vector<RegroupRecord>& regroups) {
  std::string out = fmt::format("{:<34} {:<12} {:>5} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10} {:<14} {:>5}\n",
                                "EVENT (times in ms)", "CAUSE", "EPOCH", "NOTICED", "DECIDED", "STOPPED", "AGREED",
                                "MOVED", "COMMIT", "TOTAL", "BYTES", "SOURCE", "LOST");
  std::set<Epoch> told;
  for (const EventRow& row : rows)
    if (row.regroup != nullptr) told.insert(row.regroup->epoch);
  // In order of time: a regroup that nobody injected stands before the first event whose epoch is newer.
  auto next = regroups.begin();
  const auto untold_before = [&](Epoch epoch) {
    for (; next != regroups.end() && next->epoch < epoch; ++next)
      if (told.count(next->epoch) == 0)
        out += row_text(next->cause == Cause::kStart ? "the beginning" : "  (follows)", *next);
  };
  for (const EventRow& row : rows) {
    const std::string name =
        fmt::format("step {:<4} {} {}", row.event.step.value, to_string(row.event.deed), row.event.what);
    if (row.regroup != nullptr) {
      untold_before(row.regroup->epoch);
      out += row_text(name, *row.regroup);
    } else {
      out += fmt::format("{:<34} no regroup; next commit {}\n", name,
                         row.next_commit_ms < 0 ? "never came" : "after " + ms_text(row.next_commit_ms) + " ms");
    }
  }
  untold_before(Epoch(~std::uint64_t{0}));
  return out;
}

std::string summary_json(const RunRecord& record, const SummaryFrame& frame) {
  nlohmann::ordered_json out;
  out["job"] = frame.job;
  out["ok"] = frame.error.empty();
  out["error"] = frame.error;
  out["steps"] = frame.steps;
  out["final_step"] = record.finished() ? record.final_step() : record.newest_step().value;
  out["weights_sha256"] = record.weights_sha256();
  // true: the digest is not that of such a job from the start
  out["schedule_ended_anew"] = frame.schedule_ended_anew;
  out["terms_changed"] = frame.terms_changed;
  out["steps_lost"] = record.steps_lost();
  out["samples_repeated"] = record.steps_lost() * frame.sequences_per_step;
  out["tokens_per_second"] = round_to(record.tokens_per_second(), 0.1);
  out["seconds"] = round_to(frame.seconds, 0.001);
  out["regroups"] = nlohmann::json::array();
  const auto regroups = record.regroups();
  const auto regroup_json = [](const RegroupRecord& r) {
    return nlohmann::ordered_json{{"epoch", r.epoch.value},
                                  {"cause", kCauseWords(r.cause)},
                                  {"members", r.members},
                                  {"step", r.step.value},
                                  {"detect_ms", r.detect_ms},
                                  {"decide_ms", r.decide_ms},
                                  {"stop_ms", r.stop_ms},
                                  {"agree_ms", r.agree_ms},
                                  {"move_ms", r.move_ms},
                                  {"first_commit_ms", r.first_commit_ms},
                                  {"total_ms", r.total_ms},
                                  {"bytes_moved", r.bytes_moved},
                                  {"bytes_from_own_agents", r.bytes_from_own_agents},
                                  {"source", r.source},
                                  {"steps_lost", r.steps_lost},
                                  {"reason", r.reason}};
  };
  for (const auto& regroup : regroups) out["regroups"].push_back(regroup_json(regroup));
  out["events"] = nlohmann::json::array();
  for (const EventRow& row : record.event_rows(regroups)) {
    nlohmann::ordered_json entry = {{"deed", to_string(row.event.deed)},
                                    {"what", row.event.what},
                                    {"step", row.event.step.value},
                                    {"at_ms", row.event.at_ms},
                                    {"next_commit_ms", row.next_commit_ms}};
    entry["epoch"] =
        row.regroup == nullptr ? nlohmann::ordered_json() : nlohmann::ordered_json(row.regroup->epoch.value);
    out["events"].push_back(std::move(entry));
  }
  out["loss_first_step"] = record.first_loss_step();
  out["loss"] = record.losses();  // NaN becomes null
  out["aux_loss"] = record.aux_losses();
  out["z_loss"] = record.z_losses();
  out["bad_steps"] = record.bad_steps();
  out["validation"] = nlohmann::json::array();
  for (const auto& [step, loss] : record.validation_losses())
    out["validation"].push_back({{"step", step.value}, {"loss", loss}, {"perplexity", std::exp(loss)}});
  out["dir"] = frame.dir;
  return out.dump(1, ' ', true, nlohmann::json::error_handler_t::replace);
}

}  // namespace regroup::cli
