#include "api/job_status.hpp"
#include "api/records.hpp"
#include "base/whole_number.hpp"
#include "cli/cluster_connection.hpp"
#include "cli/commands.hpp"
#include "cli/job/cluster_status.hpp"
#include "cli/job/job_file.hpp"
#include "cli/job/job_tokenizer.hpp"
#include "cli/job/progress_line.hpp"
#include "cli/job/submit.hpp"
#include "cli/plan/plan_size.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <memory>

namespace regroup::cli {
namespace {

struct Arguments {
  ClusterChoice cluster;
  bool json = false, undo = false, now = false;
  Leave leave;
  std::string job, job_file, node;
  int nodes = 0;
  ProfileSpec profile;
};

int fail(const char* command, const std::string& what) {
  std::fprintf(stderr, "regroup %s: %s\n", command, what.c_str());
  return 1;
}

int fail_of_file(const char* command, const Error& error) {
  (void)fail(command, error.context);
  return exit_of(error);
}

void print_done(const Arguments& arguments, const nlohmann::ordered_json& json, const std::string& text) {
  std::printf("%s\n", arguments.json ? json.dump().c_str() : text.c_str());
}

int submit_command(Arguments& arguments) {
  auto file = load_job(arguments.job_file);
  if (!file) return fail_of_file("submit", file.error());
  file->job.profile = arguments.profile;
  if (auto good = check_job(file->job); !good) return fail_of_file("submit", good.error().within("with --profile"));
  if (auto good = check_plan_size(file->job); !good) return fail_of_file("submit", good.error());
  if (file->job.snapshots.checkpoint_dir.empty())
    file->notes.emplace_back(
        "snapshots.dir is not given: nothing is written to disk, and when all nodes are lost, so is the job");
  if (auto pinned = pin_data(file->job); !pinned) return fail_of_file("submit", pinned.error());
  if (auto good = check_storage(file->job); !good) return fail_of_file("submit", good.error());
  ProgressLine line;
  if (auto pinned = pin_weights(file->job, shown_in(line, "initial weights")); !pinned)
    return fail_of_file("submit", pinned.error());
  auto notes = settle_checkpoint(file->job, arguments.leave);
  if (!notes) return fail_of_file("submit", notes.error());
  for (const auto& more : {pin_tokenizer(file->job), *notes})
    file->notes.insert(file->notes.end(), more.begin(), more.end());
  auto cluster = connect(arguments.cluster);
  if (!cluster) return fail_of_file("submit", cluster.error());
  auto submitted = submit(*cluster->store, cluster->keys, file->job, SubmitWhere::kCluster);
  if (!submitted) return fail("submit", submitted.error().context);
  for (const auto& note : file->notes) std::fprintf(stderr, "regroup submit: note: %s\n", note.c_str());
  const bool goes_on = *submitted == Submitted::kGoesOn;
  const char* what = *submitted == Submitted::kNew          ? " is submitted"
                     : *submitted == Submitted::kBeginsAnew ? " ended before a checkpoint was written and begins anew"
                     : file->job.lengthens                  ? " goes on to its new last step from its newest checkpoint"
                     : file->job.changes_terms              ? " goes on under its new terms from its newest checkpoint"
                                                            : " was stopped and goes on from its newest checkpoint";
  print_done(arguments, {{"job", file->job.name}, {"goes_on", goes_on}},
             "job " + file->job.name + what + "; `regroup status` shows it");
  return 0;
}

int status_command(Arguments& arguments) {
  auto cluster = connect(arguments.cluster);
  if (!cluster) return fail_of_file("status", cluster.error());
  auto status = read_cluster_status(*cluster->store, cluster->keys);
  if (!status) return fail("status", status.error().context);
  std::printf("%s\n", (arguments.json ? status_json(*status) : status_text(*status)).c_str());
  return 0;
}

// A wish lies under a name of its own kind: wishing twice is wishing once, the last one holds.
int wish_command(Arguments& arguments, const char* command, const std::string& id, const WishRecord& wish,
                 const std::string& text) {
  auto cluster = connect(arguments.cluster);
  if (!cluster) return fail_of_file(command, cluster.error());
  const auto& [store, keys] = *cluster;
  const Compare not_over{keys.outcome(arguments.job), Compare::Target::kCreateRevision, 0, {}};
  auto spec = store->get(keys.spec(arguments.job));
  if (!spec && spec.error().code == Code::kNotFound)
    return fail(command, "there is no job named " + arguments.job + "; `regroup status` lists them");
  if (!spec) return fail(command, spec.error().context);
  auto done = store->txn({not_over}, {{Op::Kind::kPut, keys.wish(arguments.job, id), to_json(wish), 0}});
  if (!done) return fail(command, done.error().context);
  if (!done->succeeded) return fail(command, "the job " + arguments.job + " is over");
  print_done(arguments, {{"job", arguments.job}, {"wish", id}}, text);
  return 0;
}

// The one job that a node works for.
Result<std::string> job_of_node(Arguments& arguments) {
  auto cluster = connect(arguments.cluster);
  if (!cluster) return cluster.error();
  const auto& [store, keys] = *cluster;
  auto node = store->get(keys.node(NodeId(arguments.node)));
  if (!node && node.error().code == Code::kNotFound)
    return Error{Code::kNotFound, "there is no node named " + arguments.node + "; `regroup status` lists them"};
  if (!node) return node.error();
  auto assignment = store->get(keys.assignment(NodeId(arguments.node)));
  if (!assignment) return Error{Code::kNotFound, arguments.node + " works for no job"};
  auto record = assignment_from_json(assignment->value);
  if (!record) return record.error();
  return record->job;
}

// Takes back the drain of a node, in every job that has one.
int undo_drain_command(Arguments& arguments) {
  auto cluster = connect(arguments.cluster);
  if (!cluster) return fail_of_file("drain", cluster.error());
  const auto& [store, keys] = *cluster;
  auto listing = store->list(keys.jobs());
  if (!listing) return fail("drain", listing.error().context);
  int undone = 0;
  for (const KeyValue& kv : listing->keys) {
    const auto key = keys.parse(kv.key);
    const auto* wish = key ? std::get_if<key::Wish>(&*key) : nullptr;
    if (wish == nullptr || wish->drained != NodeId(arguments.node)) continue;
    auto removed = store->erase(kv.key);
    if (!removed) return fail("drain", removed.error().context);
    ++undone;
  }
  if (undone == 0) return fail("drain", arguments.node + " is not drained");
  print_done(arguments, {{"node", arguments.node}, {"wish", "undrain"}}, arguments.node + " may be used again");
  return 0;
}

int drain_command(Arguments& arguments) {
  if (arguments.undo) return undo_drain_command(arguments);
  auto job = job_of_node(arguments);
  if (!job) return fail("drain", job.error().context);
  arguments.job = *job;
  WishRecord wish;
  wish.kind = WishKind::kDrain;
  wish.node = NodeId(arguments.node);
  return wish_command(arguments, "drain", drain_wish(NodeId(arguments.node)), wish,
                      arguments.node + " leaves " + arguments.job + " at the next step boundary");
}

CLI::App* add_command(CLI::App& app, std::function<int()>* run, const char* name, const char* text,
                      const std::shared_ptr<Arguments>& arguments, std::function<int(Arguments&)> body) {
  CLI::App* command = app.add_subcommand(name, text);
  add_cluster_options(*command, arguments->cluster);
  command->add_flag("--json", arguments->json, "print JSON alone on standard output");
  command->callback(
      [run, arguments, body = std::move(body)] { *run = [arguments, body] { return body(*arguments); }; });
  return command;
}

}  // namespace

void add_profile_options(CLI::App& command, ProfileSpec& profile, const std::string& where) {
  auto* steps = command
                    .add_option("--profile", profile.steps,
                                "every worker writes what it did when in N steps " + where +
                                    ": a Chrome trace, which https://ui.perfetto.dev opens")
                    ->check(whole_number<int>)
                    ->check(CLI::Range(1, 1000))
                    ->type_name("N");
  command.add_option("--profile-from", profile.from_step, "the first of those steps")
      ->capture_default_str()
      ->check(whole_number<std::int64_t>)
      ->check(CLI::PositiveNumber)
      ->needs(steps)
      ->type_name("STEP");
}

void add_job_commands(CLI::App& app, std::function<int()>* run) {
  const auto fresh = [] { return std::make_shared<Arguments>(); };

  auto a = fresh();
  CLI::App* command = add_command(app, run, "submit", "give a job to a cluster", a, submit_command);
  command
      ->add_option("JOB.yaml", a->job_file,
                   "the job file; docs/job-file.md lists its keys, examples/tiny/job.yaml is one")
      ->required()
      ->type_name("");
  command->add_flag("--extend", a->leave.extend, kExtendHelp);
  command->add_flag("--other-terms", a->leave.other_terms, kOtherTermsHelp);
  add_profile_options(*command, a->profile, "into its agent's --dir, profile/");
  command->footer(
      "The job's data is read once and its checksums are kept, so that every node trains on the same. Jobs get free "
      "nodes in order of submission.\n"
      "A name is taken for good, also when its job is over; one that was stopped goes on, and --extend lengthens one. "
      "Exit status: 0 submitted, 1 "
      "refused, 2 something is wrong with a file or an option.");

  add_command(app, run, "status", "nodes, jobs, and what they wait for", fresh(), status_command);

  a = fresh();
  command = add_command(app, run, "scale", "change how many nodes a job uses", a, [](Arguments& arguments) {
    WishRecord wish;
    wish.kind = WishKind::kScale;
    wish.nodes = arguments.nodes;
    return wish_command(arguments, "scale", "scale", wish,
                        arguments.job + " will use " + std::to_string(arguments.nodes) + " nodes");
  });
  command->add_option("JOB", a->job, "name of the job")->required()->type_name("");
  command->add_option("--nodes", a->nodes, "how many; the job file's elastic.min_nodes and max_nodes are its limits")
      ->required()
      ->check(whole_number<int>)
      ->check(CLI::Range(1, 1 << 20))
      ->type_name("N");
  command->footer(
      "No work is lost: the members change at a step boundary. `regroup status` shows when it is done.\n  regroup "
      "scale my-job --nodes 3");

  a = fresh();
  command = add_command(app, run, "drain", "take a node out of its job at the next step boundary", a, drain_command);
  command->add_option("NODE", a->node, "its name, as `regroup status` shows it")->required()->type_name("");
  command->add_flag("--undo", a->undo, "the job may use the node again");
  command->footer(
      "The agent goes on running, other jobs may use the node. To stop the agent too, send it SIGTERM instead: it "
      "drains itself.");

  a = fresh();
  command =
      add_command(app, run, "stop", "end a job: it saves the step under way and stops", a, [](Arguments& arguments) {
        WishRecord wish;
        wish.kind = WishKind::kStop;
        wish.now = arguments.now;
        return wish_command(arguments, "stop", "stop", wish,
                            arguments.job + (arguments.now ? " will stop without saving" : " will save and stop"));
      });
  command->add_option("JOB", a->job, "name of the job")->required()->type_name("");
  command->add_flag("--now", a->now, "do not save first; also of a job that is saving");
  command->footer(
      "The same job file submitted again goes on from there. A job without snapshots.dir stops at once, and so does "
      "one that nobody trains; `regroup status` says what was saved.");
}

}  // namespace regroup::cli
