// world.hpp: a large cluster for the planner's benchmark: a job, its workers, and what a coordinator knows of them.
#pragma once

#include "coordinator/core/cluster_view.hpp"
#include "coordinator/planner/planner.hpp"

#include <string>
#include <vector>

namespace regroup::bench {

struct Model {
  std::string name;
  int layers = 0;
  int experts = 0;
  int group = 0;  // workers that hold one copy together
};

// Two microbatches a worker, so that a newcomer computes; as many groups as `model.group` says; four chains a group.
JobSpec make_job(const Model& model, int workers);

Participant participant(int number);
planning::Candidate candidate(int number);

// Workers 0 ... n-1 but `without` (-1 = none).
std::vector<planning::Candidate> candidates(int n, int without = -1);

Plan make_plan_of(const JobSpec& job, const Plan* previous, planning::Planned planned);

// The leading coordinator's view: every worker's node is there and assigned to the job. Without a plan all are ready;
// with one all train in it, and step 1 is committed.
struct Cluster {
  Now now{Instant{} + std::chrono::hours(1), 1'000'000};
  coordinator::ClusterView view{"bench", coordinator::Timing{}};

  Cluster(const JobSpec& job, int workers, const Plan* plan);
  [[nodiscard]] const coordinator::JobRecords& job() const { return view.jobs().begin()->second; }
  // The agent of that worker says that it has exited.
  void lose(int number);
  // Another node whose worker is connected to every member.
  void add_warm(int number);

 private:
  void put(WatchUpdate& update, const std::string& key, const std::string& value);
  void put(const std::string& key, const std::string& value);
  NodeRecord node(int number, WorkerState state, Epoch epoch) const;

  std::string job_name_;
  Epoch epoch_;
  std::int64_t revision_ = 1;
};

}  // namespace regroup::bench
