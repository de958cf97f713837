#include "metrics/exporter.hpp"

#include "metrics/page.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace regroup::metrics {
namespace {

using Labels = Page::Labels;

Labels with(const Labels& labels, const std::string& name, const std::string& value) {
  Labels all = labels;
  all.push_back({name, value});
  return all;
}

// Every word of the fixed list, then what else was counted.
template <class Words, class Values, class Add>
void by_word(const Words& words, const Values& values, const Add& add) {
  typename Values::mapped_type none{};
  for (const char* word : words) {
    const auto it = values.find(word);
    add(std::string(word), it == values.end() ? none : it->second);
  }
  for (const auto& [word, value] : values) {
    bool listed = false;
    for (const char* known : words) listed |= word == known;
    if (!listed) add(word, value);
  }
}

// Every word of an enum.
template <class Enum, std::size_t N, class Value, class Add>
void by_word(const Words<Enum, N>& words, const std::map<Enum, Value>& values, const Add& add) {
  for (std::size_t i = 0; i < N; ++i) {
    const auto it = values.find(static_cast<Enum>(i));
    add(std::string(words.words[i]), it == values.end() ? Value{} : it->second);
  }
}

void add_process(Page& page) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  page.counter("process_cpu_seconds_total", "User and system time of this process.",
               seconds(usage.ru_utime) + seconds(usage.ru_stime));
  std::ifstream memory("/proc/self/statm");
  double size = 0;
  double resident = 0;
  memory >> size >> resident;
  const auto page_bytes = static_cast<double>(sysconf(_SC_PAGESIZE));
  page.gauge("process_virtual_memory_bytes", "Virtual memory of this process.", size * page_bytes);
  page.gauge("process_resident_memory_bytes", "Resident memory of this process.", resident * page_bytes);
  std::error_code error;
  int open = 0;
  for (auto it = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error))
    ++open;
  page.gauge("process_open_fds", "Open file descriptors.", open);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  page.gauge("process_max_fds", "Limit of open file descriptors.", static_cast<double>(limit.rlim_cur));
  // Start: the 22nd field of stat, in ticks since boot; the 2nd may hold spaces, so count from its closing bracket.
  std::ifstream stat("/proc/self/stat");
  std::string line;
  std::getline(stat, line);
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  std::ifstream system("/proc/stat");
  double boot = 0;
  for (std::string word; system >> word;)
    if (word == "btime") system >> boot;
  if (boot > 0 && !field.empty())
    page.gauge("process_start_time_seconds", "When this process started, since the epoch.",
               boot + std::stod(field) / static_cast<double>(sysconf(_SC_CLK_TCK)));
}

void add_build(Page& page, const Build& build) {
  page.gauge("regroup_build_info", "1; the labels say what runs.", 1,
             {{"program", build.program}, {"version", build.version}});
}

void add_saving(Page& page, const std::string& kind, const Saving& saving) {
  const std::string name = "regroup_" + kind + "_";
  page.counter(name + "attempts_total", "Begun: " + kind + "s.", static_cast<double>(saving.attempts));
  page.counter(name + "failures_total", "Given up: " + kind + "s. Training goes on without them.",
               static_cast<double>(saving.failures));
  page.counter(name + "bytes_total", "Written for " + kind + "s.", static_cast<double>(saving.bytes));
  page.histogram(name + "duration_seconds", "From the step's end until the " + kind + " counts.", saving.seconds);
  page.gauge(name + "last_success_timestamp_seconds", "When the newest complete " + kind + " was finished; 0 = never.",
             static_cast<double>(saving.last_success_at_ms) / 1000);
  page.gauge(name + "last_step", "Step of the newest complete " + kind + "; -1 = none.",
             static_cast<double>(saving.last_step));
}

void add_suspicions(Page& page, const std::map<Evidence, std::uint64_t>& suspicions) {
  by_word(kEvidenceWords, suspicions, [&](const std::string& evidence, std::uint64_t count) {
    page.counter("regroup_suspicions_total", "Suspicions raised or received, by evidence.", static_cast<double>(count),
                 {{"evidence", evidence}});
  });
}

void add_regroups(Page& page, const std::map<std::string, std::uint64_t>& causes,
                  const std::map<std::string, Histogram>& seconds, const Labels& labels) {
  for (const auto& [cause, count] : causes)
    page.counter("regroup_regroups_total", "Epochs that followed another, by cause.", static_cast<double>(count),
                 with(labels, "cause", cause));
  by_word(kRegroupPhases, seconds, [&](const std::string& phase, const Histogram& histogram) {
    page.histogram("regroup_regroup_duration_seconds",
                   "Time of each phase of a regroup on this node; decide and total count from the first evidence.",
                   histogram, with(labels, "phase", phase));
  });
}

void add_training(Page& page, const Training& training) {
  const Labels job{{"job", training.job}};
  page.gauge("regroup_epoch", "Epoch of the plan in force.", static_cast<double>(training.epoch), job);
  page.gauge("regroup_step", "Number of the last committed step.", static_cast<double>(training.step), job);
  page.counter("regroup_steps_total", "Steps committed with a worker of this node.",
               static_cast<double>(training.steps), job);
  page.counter("regroup_bad_steps_total",
               "Committed steps that changed no weight, because their gradients were not finite.",
               static_cast<double>(training.bad_steps), job);
  page.gauge("regroup_bad_steps_in_a_row",
             "Of those, the ones up to the last step without a good one between; at max_bad_steps the job fails.",
             static_cast<double>(training.bad_in_a_row), job);
  page.counter("regroup_checkpoints_left_out_total",
               "Checkpoints not begun, because an earlier one was still being written.",
               static_cast<double>(training.checkpoints_left_out), job);
  page.counter("regroup_steps_lost_total", "Committed steps that had to be computed again.",
               static_cast<double>(training.steps_lost), job);
  page.counter("regroup_tokens_total", "Tokens of the committed steps, of the whole job: not to be summed over nodes.",
               static_cast<double>(training.tokens), job);
  page.gauge("regroup_loss", "Mean loss over the targets of the last step.", training.loss, job);
  page.gauge("regroup_aux_loss", "Load-balancing loss of the last step.", training.aux_loss, job);
  page.gauge("regroup_router_z_loss", "Router z-loss of the last step, added over the layers.", training.z_loss, job);
  page.gauge("regroup_gradient_norm", "Norm of the gradient of the last step, before clipping.", training.grad_norm,
             job);
  page.gauge("regroup_learning_rate", "Learning rate of the last step.", training.learning_rate, job);
  if (training.validation_step >= 0) {
    page.gauge("regroup_validation_loss", "Mean loss over the targets of the validation set, of the newest validation.",
               training.validation_loss, job);
    page.gauge("regroup_validation_step", "Number of the step after which that was.",
               static_cast<double>(training.validation_step), job);
    page.gauge("regroup_validation_duration_seconds", "Time that it took on this node.", training.validation_seconds,
               job);
  }
  page.histogram("regroup_step_duration_seconds", "Time of a step on this node.", training.step_seconds, job);
  by_word(kStepPhaseWords, training.phase_seconds, [&](const std::string& phase, const Histogram& histogram) {
    page.histogram("regroup_step_phase_duration_seconds", "Time of each phase of a step on this node.", histogram,
                   with(job, "phase", phase));
  });
  add_regroups(page, training.regroups, training.regroup_seconds, job);
  by_word(kStateSourceWords, training.bytes_moved, [&](const std::string& source, std::uint64_t bytes) {
    page.counter("regroup_moved_bytes_total", "State received at regroups, by where it came from.",
                 static_cast<double>(bytes), with(job, "source", source));
  });
  page.gauge("regroup_rank_load_max_mean_ratio",
             "Tokens of each layer's heaviest rank of this node's group over the mean of its ranks, in the last step.",
             training.rank_load, job);
  for (std::size_t layer = 0; layer < training.experts.size(); ++layer) {
    const ExpertLoad& load = training.experts[layer];
    const Labels at = with(job, "layer", std::to_string(layer));
    page.gauge("regroup_expert_load_max_mean_ratio", "Tokens of the heaviest expert over the mean, in the last step.",
               load.max_over_mean, at);
    for (std::size_t expert = 0; expert < load.tokens.size(); ++expert)
      page.counter("regroup_expert_tokens_total", "Tokens routed to each expert.",
                   static_cast<double>(load.tokens[expert]), with(at, "expert", std::to_string(expert)));
  }
}

}  // namespace

std::string to_prometheus(const AgentCounters& counters, const Build& build) {
  Page page;
  add_build(page, build);
  page.gauge("regroup_agent_registered", "1 while this node's record is in etcd under a lease that holds.",
             counters.registered ? 1 : 0);
  page.gauge("regroup_agent_draining", "1 while this node is being drained.", counters.draining ? 1 : 0);
  page.counter("regroup_agent_lease_losses_total", "Leases lost, each followed by a new registration.",
               static_cast<double>(counters.lease_losses));
  page.gauge("regroup_workers", "Workers running on this node.", counters.workers);
  page.counter("regroup_worker_starts_total", "Workers started.", static_cast<double>(counters.worker_starts));
  page.counter("regroup_worker_failures_total", "Workers that ended without being asked to.",
               static_cast<double>(counters.worker_failures));
  add_suspicions(page, counters.suspicions);
  if (!counters.training.job.empty()) add_training(page, counters.training);
  add_saving(page, "snapshot", counters.snapshots);
  add_saving(page, "checkpoint", counters.checkpoints);
  add_process(page);
  return page.text();
}

std::string to_prometheus(const CoordinatorCounters& counters, const Build& build) {
  Page page;
  add_build(page, build);
  page.gauge("regroup_coordinator_leading", "1 while this coordinator leads.", counters.leading ? 1 : 0);
  page.counter("regroup_coordinator_leaderships_total", "Times that this coordinator became the leader.",
               static_cast<double>(counters.leaderships));
  page.gauge("regroup_store_connected", "1 while etcd answers.", counters.store_connected ? 1 : 0);
  page.counter("regroup_store_errors_total", "Calls to etcd that failed or whose outcome is unknown.",
               static_cast<double>(counters.store_errors));
  page.gauge("regroup_nodes", "Nodes registered.", counters.nodes);
  page.gauge("regroup_free_nodes", "Nodes registered that work for no job.", counters.free_nodes);
  page.counter("regroup_plans_published_total", "Plans published.", static_cast<double>(counters.plans_published));
  page.counter("regroup_plan_conflicts_total", "Plans not published because somebody else was first.",
               static_cast<double>(counters.plan_conflicts));
  for (const auto& [name, job] : counters.jobs) {
    const Labels label{{"job", name}};
    page.gauge("regroup_epoch", "Epoch of the plan in force.", static_cast<double>(job.epoch), label);
    page.gauge("regroup_step", "Number of the newest step that a progress report names.", static_cast<double>(job.step),
               label);
    page.gauge("regroup_members", "Members of the plan in force.", job.members, label);
    page.gauge("regroup_groups", "Groups of the plan in force.", job.groups, label);
    page.gauge("regroup_spares", "Members in no group.", job.spares, label);
    page.gauge("regroup_job_waiting", "1 while the job waits; the status page says for what.", job.waiting ? 1 : 0,
               label);
    for (const auto& [cause, count] : job.plans)
      page.counter("regroup_job_plans_total", "Plans of a job that this coordinator published, by cause.",
                   static_cast<double>(count), with(label, "cause", cause));
    page.histogram("regroup_decide_duration_seconds", "From the first evidence to the published plan.",
                   job.decide_seconds, label);
  }
  add_process(page);
  return page.text();
}

}  // namespace regroup::metrics
