#include "cli/cluster_status.hpp"
#include "cli/commands.hpp"
#include "cli/job_file.hpp"
#include "cli/progress_line.hpp"
#include "cli/submit.hpp"
#include "coordinator/api/job_status.hpp"
#include "coordinator/api/records.hpp"
#include "coordinator/etcd/etcd_store.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <fstream>
#include <memory>

namespace regroup {
namespace {

struct Arguments {
  std::string etcd = "127.0.0.1:2379", cluster = "default", dir;
  bool json = false;
  std::string job, job_file, node;
  int nodes = 0;
};

int fail(const char* command, const std::string& what) {
  std::fprintf(stderr, "regroup %s: %s\n", command, what.c_str());
  return 1;
}

// DIR of `regroup local` holds cluster.json: where its etcd listens.
Result<void> find_local_cluster(Arguments& arguments) {
  if (arguments.dir.empty()) return {};
  std::ifstream in(arguments.dir + "/cluster.json");
  const auto json = nlohmann::json::parse(in, nullptr, false);
  if (!json.is_object() || !json.contains("etcd") || !json.contains("cluster"))
    return Error{Code::kNotFound, arguments.dir + "/cluster.json cannot be read: is this the directory of a `regroup local`?"};
  arguments.etcd = json["etcd"].get<std::string>();
  arguments.cluster = json["cluster"].get<std::string>();
  return {};
}

Result<std::unique_ptr<Store>> connect(Arguments& arguments) {
  if (auto found = find_local_cluster(arguments); !found) return found.error();
  auto store = EtcdStore::open(arguments.etcd);
  if (!store) return store.error();
  return std::unique_ptr<Store>(std::move(*store));
}

void print_done(const Arguments& arguments, const nlohmann::ordered_json& json, const std::string& text) {
  std::printf("%s\n", arguments.json ? json.dump().c_str() : text.c_str());
}

int submit_command(Arguments& arguments) {
  auto file = load_job(arguments.job_file);
  if (!file) return fail("submit", file.error().context);
  for (const auto& note : file->notes) std::fprintf(stderr, "regroup submit: note: %s\n", note.c_str());
  if (auto pinned = pin_data(file->job); !pinned) return fail("submit", pinned.error().context);
  ProgressLine line("initial weights");
  if (auto pinned = pin_weights(file->job, line.callback()); !pinned) return fail("submit", pinned.error().context);
  auto store = connect(arguments);
  if (!store) return fail("submit", store.error().context);
  auto submitted = submit(**store, Keys(arguments.cluster), file->job, false);
  if (!submitted) return fail("submit", submitted.error().context);
  print_done(arguments, {{"job", file->job.name}}, "job " + file->job.name + " is submitted; `regroup status` shows it");
  return 0;
}

int status_command(Arguments& arguments) {
  auto store = connect(arguments);
  if (!store) return fail("status", store.error().context);
  auto status = read_cluster_status(**store, Keys(arguments.cluster));
  if (!status) return fail("status", status.error().context);
  std::printf("%s\n", (arguments.json ? status_json(*status) : status_text(*status)).c_str());
  return 0;
}

// A wish lies under a name of its own kind: wishing twice is wishing once, the last one holds.
int wish_command(Arguments& arguments, const char* command, const std::string& id, const WishRecord& wish, const std::string& text) {
  auto store = connect(arguments);
  if (!store) return fail(command, store.error().context);
  const Keys keys(arguments.cluster);
  const Compare not_over{keys.outcome(arguments.job), Compare::Target::kCreateRevision, 0, {}};
  auto spec = (*store)->get(keys.spec(arguments.job));
  if (!spec && spec.error().code == Code::kNotFound) return fail(command, "there is no job named " + arguments.job + "; `regroup status` lists them");
  if (!spec) return fail(command, spec.error().context);
  auto done = (*store)->txn({not_over}, {{Op::Kind::kPut, keys.wishes(arguments.job) + id, to_json(wish), 0}});
  if (!done) return fail(command, done.error().context);
  if (!done->succeeded) return fail(command, "the job " + arguments.job + " is over");
  print_done(arguments, {{"job", arguments.job}, {"wish", id}}, text);
  return 0;
}

// The one job that a node works for.
Result<std::string> job_of_node(Arguments& arguments) {
  auto store = connect(arguments);
  if (!store) return store.error();
  const Keys keys(arguments.cluster);
  auto node = (*store)->get(keys.node(NodeId(arguments.node)));
  if (!node && node.error().code == Code::kNotFound) return Error{Code::kNotFound, "there is no node named " + arguments.node + "; `regroup status` lists them"};
  if (!node) return node.error();
  auto assignment = (*store)->get(keys.assignment(NodeId(arguments.node)));
  if (!assignment) return Error{Code::kNotFound, arguments.node + " works for no job"};
  auto record = assignment_from_json(assignment->value);
  if (!record) return record.error();
  return record->job;
}

int drain_command(Arguments& arguments) {
  auto job = job_of_node(arguments);
  if (!job) return fail("drain", job.error().context);
  arguments.job = *job;
  WishRecord wish;
  wish.kind = "drain";
  wish.node = NodeId(arguments.node);
  return wish_command(arguments, "drain", "drain-" + arguments.node, wish, arguments.node + " leaves " + arguments.job + " at the next step boundary");
}

void add_cluster_options(CLI::App* command, const std::shared_ptr<Arguments>& arguments) {
  command->add_option("--etcd", arguments->etcd, "HOST:PORT[,HOST:PORT...] of etcd")->capture_default_str();
  command->add_option("--cluster", arguments->cluster, "name of the cluster: the part of etcd's keys that is its own")->capture_default_str();
  command->add_option("--dir", arguments->dir, "directory of a running `regroup local`, in place of --etcd and --cluster");
  command->add_flag("--json", arguments->json, "print JSON");
}

CLI::App* add_command(CLI::App& app, std::function<int()>* run, const char* name, const char* text, const std::shared_ptr<Arguments>& arguments, std::function<int(Arguments&)> body) {
  CLI::App* command = app.add_subcommand(name, text);
  add_cluster_options(command, arguments);
  command->callback([run, arguments, body = std::move(body)] { *run = [arguments, body] { return body(*arguments); }; });
  return command;
}

}  // namespace

void add_job_commands(CLI::App& app, std::function<int()>* run) {
  const auto fresh = [] { return std::make_shared<Arguments>(); };

  auto a = fresh();
  add_command(app, run, "submit", "give a job to a cluster", a, submit_command)->add_option("JOB.yaml", a->job_file, "the job file")->required();

  add_command(app, run, "status", "nodes, jobs, and what they wait for", fresh(), status_command);

  a = fresh();
  CLI::App* scale = add_command(app, run, "scale", "change how many nodes a job uses", a, [](Arguments& arguments) {
    WishRecord wish;
    wish.kind = "scale";
    wish.nodes = arguments.nodes;
    return wish_command(arguments, "scale", "scale", wish, arguments.job + " will use " + std::to_string(arguments.nodes) + " nodes");
  });
  scale->add_option("JOB", a->job, "name of the job")->required();
  scale->add_option("--nodes", a->nodes, "how many")->required()->check(CLI::Range(1, 1 << 20));

  a = fresh();
  add_command(app, run, "drain", "take a node out of its job at the next step boundary", a, drain_command)->add_option("NODE", a->node, "the node")->required();

  a = fresh();
  add_command(app, run, "stop", "end a job after the step under way", a, [](Arguments& arguments) {
    WishRecord wish;
    wish.kind = "stop";
    return wish_command(arguments, "stop", "stop", wish, arguments.job + " will stop");
  })->add_option("JOB", a->job, "name of the job")->required();
}

}  // namespace regroup
