// epoch_view.hpp: one plan as seen by one worker: its rank, the members of its group, what it computes and keeps.
// Derived, immutable.
//
// An epoch is a membership epoch: the time in which one plan is in force (not a pass over the data). A group is one
// HSDP replica: together its members keep the whole training state once, each a shard of it.
#pragma once

#include "api/plan.hpp"
#include "layout/compute_form.hpp"
#include "layout/placement.hpp"
#include "layout/units.hpp"

#include <optional>
#include <vector>

namespace regroup {

// What every part of the step needs of the job, and no plan changes.
struct JobConstants {
  JobSpec spec;
  std::vector<Unit> units;
  std::vector<ComputeForm> forms;  // [unit] in the job's precision
  explicit JobConstants(JobSpec job)
      : spec(std::move(job)), units(make_units(spec.model)), forms(compute_forms(units, spec.precision)) {}
  [[nodiscard]] const ModelShape& shape() const { return spec.model; }
  [[nodiscard]] int microbatches_per_chain() const { return spec.microbatches / spec.chains; }
  [[nodiscard]] int chain_of(int microbatch) const { return microbatch / microbatches_per_chain(); }
};

struct ExpertSlice {
  int expert = 0;
  int slice = 0;
};

// Donors follow the members; none: the plan goes without this worker.
std::optional<Rank> rank_in(const Plan& plan, const WorkerId& worker);

struct EpochView {
  const JobConstants* job = nullptr;
  Plan plan;
  Rank self;
  int group_index = -1;  // -1: a spare, or a donor
  int member = -1;       // position in the group

  EpochView(const JobConstants& job, Plan plan, Rank self);
  [[nodiscard]] bool is_donor() const { return self.value >= static_cast<int>(plan.members.size()); }
  [[nodiscard]] const Group& group() const { return plan.placement.groups[static_cast<std::size_t>(group_index)]; }
  [[nodiscard]] int group_size() const { return static_cast<int>(group().ranks.size()); }
  [[nodiscard]] Rank rank_of(int member_index) const { return group().ranks[static_cast<std::size_t>(member_index)]; }
  [[nodiscard]] std::vector<Rank> member_ranks() const;       // of the plan
  [[nodiscard]] std::vector<Rank> participant_ranks() const;  // members and donors
  [[nodiscard]] IntervalSet kept(int unit, Rank rank) const;

  // Within the group. The microbatch that a member computes in a wave, -1 if it is idle then.
  [[nodiscard]] int waves() const;
  [[nodiscard]] int microbatch(int wave, int member_index) const;
  [[nodiscard]] std::vector<int> microbatches(int wave) const;  // [member]
  // Validation's microbatches are dealt round robin to the ranks of all groups, in order of groups.
  [[nodiscard]] int validation_waves() const;
  [[nodiscard]] std::vector<int> validation_microbatches(int wave) const;  // [member]
  [[nodiscard]] int holder_of(int layer, ExpertSlice slice) const;         // member
  // members that hold any slice of it, ascending
  [[nodiscard]] std::vector<int> holders_of(int layer, int expert) const;
  [[nodiscard]] std::vector<ExpertSlice> slices_of(int layer, int member_index) const;  // ascending expert, then slice
};

}  // namespace regroup
