#include "coordinator/core/decide.hpp"

#include "coordinator/core/first_plan.hpp"
#include "coordinator/core/improve.hpp"
#include "coordinator/core/lost_workers.hpp"
#include "coordinator/core/recover.hpp"
#include "coordinator/core/retry.hpp"
#include "coordinator/core/stopping.hpp"

#include <set>
#include <string>
#include <utility>
#include <variant>

namespace regroup::coordinator {
namespace {

// What is remembered is about one plan: with another plan it begins anew, but for the number of moves by load in a row.
void remember(const JobRecords& job, JobMemory& memory) {
  const Epoch epoch = job.plan ? job.plan->value.epoch : Epoch{};
  if (memory.epoch != epoch) {
    const int moves = job.plan && job.plan->value.cause == Cause::kLoad ? memory.load.moves + 1 : 0;
    memory = JobMemory{.epoch = epoch, .load = {.moves = moves}, .links = std::move(memory.links)};
  }
}

void remember_links(const JobRecords& job, const LostWorkers& lost, LinkHistory& links, const Now& now) {
  if (!job.plan) return;
  const Epoch epoch = job.plan->value.epoch;
  if (job.has_committed(epoch)) links.committed(epoch);
  for (const BrokenLink& link : lost.links) links.broke(link, epoch, now.at);
}

void remember_lost(const LostWorkers& lost, JobMemory& memory, const Now& now) {
  std::map<WorkerId, Instant> since;
  for (const LostWorker& one : lost.workers) {
    const auto before = memory.lost_since.find(one.worker);
    since.emplace(one.worker, before == memory.lost_since.end() ? now.at : before->second);
  }
  memory.lost_since = std::move(since);
}

void note_nodes(Look& look) {
  if (!look.roster.target_reason.empty()) look.note(look.roster.target_reason);
  for (const auto& [node, leaving] : look.roster.leaving)
    look.note("node " + node.value + " is to leave: " + leaving.why);
  for (const auto& [text, why] : look.view.unreadable()) {
    const auto key = look.view.keys().parse(text);
    if (const auto* at = key ? std::get_if<key::Node>(&*key) : nullptr)
      look.note("node " + at->node.value + " is refused: " + why);
  }
}

void note_saves(Look& look) {
  if (!look.job.plan) return;
  std::set<NodeId> nodes;
  for (const Participant& member : look.job.plan->value.members) nodes.insert(member.worker.node);
  for (const auto& [node, progress] : look.job.progress)
    if (nodes.contains(node) && !progress.value.save_problem.empty())
      look.note("no checkpoint could be written on node " + node.value + " " + progress.value.save_problem);
}

void say_stopping(Look& look) { look.say(JobState::kStopping, "its members save the step under way and end"); }

void say_pending(Look& look) {
  const Plan& plan = look.job.plan->value;
  if (plan.ends) return say_stopping(look);
  const std::string begins = plan.when == When::kBoundary ? " begins at the next step boundary: " : " begins: ";
  look.say(JobState::kRegrouping, "epoch " + std::to_string(plan.epoch.value) + begins + plan.reason);
}

}  // namespace

Decision decide(const ClusterView& view, const JobRecords& job, JobMemory& memory, const Now& now) {
  remember(job, memory);
  Look look(view, job, memory, now);
  note_nodes(look);
  note_saves(look);
  const LostWorkers lost = find_lost_workers(view, job, memory.links, now);
  remember_links(job, lost, memory.links, now);
  remember_lost(lost, memory, now);
  if (!job.plan) {
    first_plan(look, {});
  } else if (!lost.workers.empty()) {
    go_on_without(look, lost);
  } else if (try_again(look, lost)) {
    // as it says
  } else if (!job.is_in_force() && waits_for_state(look)) {
    bring_help(look);
  } else if (!job.is_in_force()) {
    say_pending(look);
  } else if (stop_wished(job)) {
    look.decision.plan = make_ending(view, job, now);
    say_stopping(look);
  } else {
    improve(look);
  }
  return std::move(look.decision);
}

}  // namespace regroup::coordinator
