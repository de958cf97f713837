// worker.hpp: the loop of a worker process: wait for a plan, regroup, train until a newer plan comes, and again, to the
// end of the job. The process's main thread.
#pragma once

#include "moe/regroup/regroup.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/step/step.hpp"
#include "moe/worker/agent_link.hpp"
#include "moe/worker/job_data.hpp"
#include "moe/worker/snapshots.hpp"

#include <memory>

namespace regroup {

class Worker {
 public:
  Worker(AgentLink& link, Welcome welcome);
  // kBadInput: data, files or job that this worker cannot train; the text says why.
  Result<void> prepare();
  // Returns only when this node turns out to hold other files than the job's: as prepare.
  Result<void> run();

 private:
  struct Epochal {  // everything that one plan brought
    EpochView view;
    std::unique_ptr<StepRunner> runner;
    explicit Epochal(EpochView v) : view(std::move(v)) {}
  };
  // Connects to the plan's participants, regroups with them, and is ready to train, or has given its state away. Throws
  // Interrupted.
  void enter(const Plan& plan);
  void report_from(const RegroupAttempt& attempt);
  void adopt(RegroupAttempt& attempt);      // its state is this worker's now, its epoch the current one
  void start_training(StateSource source);  // throws Interrupted
  void own_checkpoints();
  void train();     // throws Interrupted; returns at a boundary with a newer plan, or when the job is done
  void validate();  // throws Interrupted; done again in the next epoch then
  void tell_validation(double seconds);
  void finish(bool is_saved);  // is_saved: the last step's checkpoint was there before
  void stop(Epoch ended_by);   // after the last step before that plan
  void give_up();              // too many bad steps in a row
  std::string not_finite();    // of all members' weights; all members ask: "TENSOR holds nan" or ""
  void wait_for_the_others();  // what this job has still to write is written, and nobody is counted on any more
  StepHooks hooks();
  void interrupt_if_stopped(Epoch current) const;

  AgentLink& link_;
  Welcome welcome_;
  JobConstants job_;
  Trace trace_;
  std::unique_ptr<mesh::Mesh> mesh_;
  std::string fingerprint_;  // of this worker's numbers
  JobData data_;
  CarriedState state_;
  FloatPool pool_;
  Snapshots snapshots_;
  std::unique_ptr<Epochal> current_;   // the last epoch that this worker was settled in
  std::unique_ptr<Epochal> entering_;  // kept until the mesh has entered the next
  std::unique_ptr<RegroupAttempt> attempt_;
  Epoch tried_;           // newest epoch that was entered, settled or not
  RegroupReport report_;  // of the last regroup; sent with its first commit
  std::chrono::steady_clock::time_point settled_at_;
  bool report_open_ = false;
  std::int64_t committed_ = -1;  // newest step that this worker has seen committed
};

}  // namespace regroup
