#include "base/directory_lock.hpp"
#include "base/environment.hpp"
#include "base/whole_number.hpp"
#include "cli/commands.hpp"
#include "cli/job/job_file.hpp"
#include "cli/job/job_tokenizer.hpp"
#include "cli/job/progress_line.hpp"
#include "cli/job/submit.hpp"
#include "cli/local/local_run.hpp"

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>

namespace regroup::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  LocalOptions options;
  std::string job_file, events, trace;
  double time_scale = 1;
  int groups = 0;
  std::int64_t steps = 0;
  ProfileSpec profile;
  bool json = false;
  Leave leave;
};

constexpr const char* kFooter = R"(EVENTS is a YAML list; each event happens once its step is committed:
  - {at_step: 20, do: kill-worker, node: node-2}     SIGKILL of a worker
  - {at_step: 20, do: stop-worker, node: node-2}     SIGSTOP of it
  - {at_step: 20, do: kill-node, node: node-2}       SIGKILL of agent and worker
  - {at_step: 20, do: stop-node, node: node-2}       SIGSTOP of both
  - {at_step: 20, do: join}                          a new node (or `node:` one that is gone)
  - {at_step: 20, do: drain, node: node-2}           SIGTERM of the agent
  - {at_step: 20, do: scale, nodes: 3}               a wish
  - {at_step: 20, do: kill-coordinator}              SIGKILL of the leader
  - {at_step: 20, do: stop-etcd, seconds: 3}         SIGKILL, started again later
  - {at_step: 20, do: freeze-etcd, seconds: 6}       SIGSTOP
  - {at_step: 20, do: restart-all, nodes: 3}         SIGKILL of everything, then another number of nodes
Without `node` the last of those that run is taken. With `at_epoch: 3` too, an event waits until epoch 3 is planned:
a failure in the middle of a regroup.

Ctrl-C saves the step under way and ends everything, a second one ends it at once; the same --dir goes on from the
newest checkpoint.
Exit status: 0 all steps are done and no member contradicted another; 1 failed; 2 something is wrong with a file or an
option; 130 interrupted. The run can be watched: regroup status --dir DIR.)";

std::string default_dir(const std::string& job) {
  char text[32];
  const std::time_t now = std::time(nullptr);
  std::strftime(text, sizeof text, "%Y%m%d-%H%M%S", std::localtime(&now));
  const std::string base = "runs/" + job + "-" + text;
  std::string dir = base;
  for (int i = 2; fs::exists(dir); ++i) dir = base + "-" + std::to_string(i);
  return dir;
}

// As a shell takes it for one word.
std::string in_quotes(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

int fail(const Error& error) {
  std::fprintf(stderr, "regroup local: %s\n", error.context.c_str());
  return exit_of(error);
}

Result<void> read_scenario(Arguments& arguments) {
  LocalOptions& options = arguments.options;
  if (!arguments.events.empty()) {
    auto events = load_events(arguments.events);
    if (!events) return events.error();
    options.events = std::move(*events);
  }
  if (!arguments.trace.empty()) {
    std::ifstream in(arguments.trace);
    if (!in) return Error{Code::kNotFound, "cannot read the trace " + arguments.trace};
    std::ostringstream text;
    text << in.rdbuf();
    auto trace = parse_trace(text.str());
    if (!trace) return trace.error().within(arguments.trace);
    TracePlay play = play_trace(*trace, options.nodes, arguments.time_scale);
    options.events = std::move(play.events);
    options.first_nodes = std::move(play.at_start);
  }
  return {};
}

Result<DirectoryLock> take_run_directory(const std::string& dir) {
  return DirectoryLock::take(dir, "a run is going on", "stop it or give another --dir");
}

// What would otherwise be found out at the end, or never.
Result<void> check_options(const LocalOptions& options) {
  if (const auto settings = checked_settings(options.worker_env); !settings)
    return settings.error().within("--worker-env");
  int joins = 0;
  for (const ScenarioEvent& event : options.events)
    joins += event.deed == Deed::kJoin ? 1 : event.deed == Deed::kRestartAll ? event.count : 0;
  const int min_nodes = options.job.elastic.min_nodes;
  if (options.nodes + joins < min_nodes)
    return Error{Code::kBadInput, "the job needs elastic.min_nodes = " + std::to_string(min_nodes) +
                                      " nodes and would wait for ever on --nodes " + std::to_string(options.nodes)};
  if (options.summary_file.empty()) return {};
  const bool existed = fs::exists(options.summary_file);
  if (!std::ofstream(options.summary_file, std::ios::app))
    return Error{Code::kBadInput, "cannot write --summary " + options.summary_file};
  if (!existed) fs::remove(options.summary_file);
  return {};
}

int local_command(Arguments& arguments) {
  LocalOptions& options = arguments.options;
  // The file is read twice: the directory's default holds the job's name, and the checkpoints' default the directory.
  auto file = load_job(arguments.job_file, "/unknown", arguments.steps);
  if (!file) return fail(file.error());
  if (options.dir.empty()) options.dir = default_dir(file->job.name);
  options.dir = fs::absolute(options.dir).lexically_normal().string();
  file = load_job(arguments.job_file, options.dir + "/checkpoints", arguments.steps);
  if (!file) return fail(file.error());
  // One that is there is taken before the data are read; a new one is made once nothing is wrong with them.
  std::optional<DirectoryLock> taken;
  const auto take = [&]() -> Result<void> {
    auto lock = take_run_directory(options.dir);
    if (!lock) return lock.error();
    taken.emplace(std::move(*lock));
    return {};
  };
  std::error_code error;
  const bool is_there = fs::exists(options.dir, error);
  if (error || (is_there && !fs::is_directory(options.dir, error)))
    return fail({Code::kBadInput, "--dir " + options.dir + ": " + (error ? error.message() : "it is no directory")});
  if (is_there)
    if (auto good = take(); !good) return fail(good.error());
  options.job = file->job;
  if (arguments.groups > 0) options.job.elastic.max_groups = arguments.groups;
  options.job.profile = arguments.profile;
  if (auto good = check_job(options.job); !good) return fail(good.error().within("with --groups and --profile"));
  if (auto pinned = pin_data(options.job); !pinned) return fail(pinned.error());
  ProgressLine line;
  if (auto pinned = pin_weights(options.job, shown_in(line, "initial weights")); !pinned) return fail(pinned.error());
  if (auto good = check_storage(options.job); !good) return fail(good.error());
  auto notes = settle_checkpoint(options.job, arguments.leave);
  if (!notes) return fail(notes.error());
  for (const auto& more : {pin_tokenizer(options.job), *notes})
    file->notes.insert(file->notes.end(), more.begin(), more.end());
  if (auto read = read_scenario(arguments); !read) return fail(read.error());
  if (auto good = check_options(options); !good) return fail(good.error());
  if (!taken)
    if (auto good = take(); !good) return fail(good.error());
  options.go_on_with =
      "regroup local " + arguments.job_file + " --dir " + options.dir + " --nodes " + std::to_string(options.nodes) +
      (arguments.steps > 0 ? " --steps " + std::to_string(arguments.steps) : "") +
      (arguments.groups > 0 ? " --groups " + std::to_string(arguments.groups) : "") +
      (arguments.leave.extend ? " --extend" : "") + (arguments.leave.other_terms ? " --other-terms" : "");
  for (const std::string& setting : options.worker_env) options.go_on_with += " --worker-env " + in_quotes(setting);
  options.programs = fs::read_symlink("/proc/self/exe").parent_path().string();
  if (arguments.json) options.out = stderr;
  for (const auto& note : file->notes) std::fprintf(options.out, "note: %s\n", note.c_str());
  std::fprintf(options.out, "directory %s\n", options.dir.c_str());
  std::string summary;
  const int status = run_local(options, &summary);
  if (arguments.json) std::printf("%s\n", summary.c_str());
  return status;
}

}  // namespace

void add_local_command(CLI::App& app, std::function<int()>* run) {
  auto arguments = std::make_shared<Arguments>();
  LocalOptions& options = arguments->options;
  // CLI11's own prints the largest double with all of its digits.
  const auto positive = CLI::Validator(
      [](const std::string& text) {
        return std::strtod(text.c_str(), nullptr) > 0 ? std::string() : "'" + text + "' must be above 0";
      },
      "");
  CLI::App* command =
      app.add_subcommand("local", "train on this machine alone: real etcd, coordinators and agents, as in a cluster");
  command->footer(kFooter);
  command
      ->add_option("JOB.yaml", arguments->job_file,
                   "the job file; docs/job-file.md lists its keys, examples/tiny/job.yaml is one")
      ->required()
      ->type_name("");
  command->add_option("--nodes", options.nodes, "agents, one worker each; with --trace: at most so many at once")
      ->capture_default_str()
      ->check(whole_number<int>)
      ->check(CLI::Range(1, 256))
      ->type_name("N");
  command->add_option("--coordinators", options.coordinators, "one leads, the others stand by")
      ->capture_default_str()
      ->check(whole_number<int>)
      ->check(CLI::Range(1, 9))
      ->type_name("K");
  command
      ->add_option(
          "--dir", options.dir,
          "everything goes there; a job begun there goes on from its newest checkpoint (default runs/NAME-TIME)")
      ->type_name("DIR");
  auto* events =
      command->add_option("--events", arguments->events, "what happens at which step, see below")->type_name("FILE");
  auto* trace = command
                    ->add_option("--trace", arguments->trace,
                                 "availability trace: lines `milliseconds,add|remove,node[,node...]`; a removal is a "
                                 "SIGKILL of agent and worker")
                    ->type_name("FILE");
  trace->excludes(events);
  command->add_option("--time-scale", arguments->time_scale, "the trace runs so many times faster")
      ->needs(trace)
      ->check(positive)
      ->type_name("X");
  command->add_option("--summary", options.summary_file, "write the run's summary there as JSON")->type_name("FILE");
  command->add_option("--groups", arguments->groups, "in place of the job's elastic.max_groups")
      ->check(whole_number<int>)
      ->check(positive)
      ->type_name("G");
  command->add_option("--steps", arguments->steps, "in place of the job's steps")
      ->check(whole_number<std::int64_t>)
      ->check(positive)
      ->type_name("N");
  command->add_flag("--extend", arguments->leave.extend, kExtendHelp);
  command->add_flag("--other-terms", arguments->leave.other_terms, kOtherTermsHelp);
  command->add_option("--stall-seconds", options.stall_seconds, "fail when no step is committed for so long")
      ->capture_default_str()
      ->check(positive)
      ->type_name("S");
  command
      ->add_option("--worker-env", options.worker_env,
                   "NAME=VALUE in the workers' environment; may be repeated. They get no other setting of a library")
      ->allow_extra_args(false)
      ->type_name("SETTING");
  command->add_flag("--metrics", options.metrics,
                    "serve /metrics of each process on a free port; DIR/metrics.json names them, in the form of "
                    "Prometheus' file_sd_configs");
  add_profile_options(*command, arguments->profile, "into DIR/profile.json");
  command->add_flag("--json", arguments->json, "print the summary on standard output, all else on standard error");
  command->callback([run, arguments] { *run = [arguments] { return local_command(*arguments); }; });
}

}  // namespace regroup::cli
