#include "cli/local/local_run.hpp"

#include "base/replace_file.hpp"
#include "checkpoint/io/catalog.hpp"
#include "cli/local/merged_profile.hpp"
#include "cli/local/report.hpp"
#include "cli/local/session.hpp"
#include "cli/local/wakeup.hpp"

#include <cstdio>

namespace regroup::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;  // how often; the second time ends every wait
void on_interrupt(int signal) {
  interrupted = interrupted + 1;
  Wakeup::wake_from_signal(signal);
}

std::string how_to_go_on(const LocalOptions& options) {
  // as the directory says: once every agent and coordinator is gone, etcd's index may be behind
  const auto newest = checkpoint::newest_complete_step(options.job.snapshots.checkpoint_dir);
  if (!newest) return newest.error().context + ": whether the run can go on is not known";
  if (!*newest)
    return "no checkpoint was written yet (snapshots.checkpoint_every_steps is " +
           std::to_string(options.job.snapshots.checkpoint_every_steps) + "): the same command begins anew";
  return "goes on from the checkpoint of step " + std::to_string((*newest)->value) + " with: " + options.go_on_with;
}

}  // namespace

int run_local(const LocalOptions& options, std::string* summary) {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
  using namespace std::chrono_literals;
  ProgressLine live(options.out, {0s, 100ms}, {0s, 5s});
  if (options.job.profile.steps > 0) remove_profiles(options.dir);
  LocalSession run(options, live, interrupted);
  const auto result = run.run();
  live.clear();
  const bool finished = result && interrupted == 0;
  const double seconds = run.seconds();
  run.shut_down(finished ? 5 : 0);
  const auto profiles = options.job.profile.steps > 0 ? merge_profiles(options.dir) : Result<int>(0);

  SummaryFrame frame;
  frame.job = options.job.name;
  frame.dir = options.dir;
  frame.error = !result ? result.error().context : interrupted != 0 ? "interrupted; " + how_to_go_on(options) : "";
  frame.steps = options.job.steps;
  frame.sequences_per_step = std::int64_t{options.job.microbatches} * options.job.sequences_per_microbatch;
  frame.seconds = seconds;
  frame.schedule_ended_anew = options.job.schedule_ended_anew;
  frame.terms_changed = options.job.terms_changed;
  *summary = summary_json(run.record(), frame);
  bool written = true;
  if (!options.summary_file.empty()) written = replace_file(options.summary_file, *summary + "\n").has_value();

  const RunRecord& record = run.record();
  const auto regroups = record.regroups();
  if (!regroups.empty())
    std::fprintf(options.out, "\n%s\n", event_table(record.event_rows(regroups), regroups).c_str());
  const auto losses = record.losses();
  if (finished && losses.empty())
    std::fprintf(options.out, "all %lld steps are done already; nothing was trained, %.1f s\nweights %s\n",
                 static_cast<long long>(record.final_step()), seconds, record.weights_sha256().c_str());
  else if (finished)
    std::fprintf(options.out, "step %lld, loss %.4f -> %.4f, %.0f tokens/s, %lld steps lost, %.1f s\nweights %s\n",
                 static_cast<long long>(record.final_step()), losses.front(), losses.back(), record.tokens_per_second(),
                 static_cast<long long>(record.steps_lost()), seconds, record.weights_sha256().c_str());
  if (options.job.profile.steps > 0) {
    const auto first = static_cast<long long>(options.job.profile.from_step),
               last = first + options.job.profile.steps - 1;
    if (!profiles)
      std::fprintf(stderr, "regroup local: no profile: %s\n", profiles.error().context.c_str());
    else if (*profiles == 0)
      std::fprintf(options.out, "no profile: this run trained none of the steps %lld to %lld\n", first, last);
    else
      std::fprintf(
          options.out,
          "profile of the steps %lld to %lld, %d workers: %s/profile.json (https://ui.perfetto.dev opens it)\n", first,
          last, *profiles, options.dir.c_str());
  }
  std::fflush(options.out);
  if (!written) std::fprintf(stderr, "regroup local: cannot write the summary to %s\n", options.summary_file.c_str());
  if (!frame.error.empty()) std::fprintf(stderr, "regroup local: %s\n", frame.error.c_str());
  return interrupted != 0 && result ? 130 : finished && written ? 0 : 1;
}

}  // namespace regroup::cli
