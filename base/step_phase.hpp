// step_phase.hpp: what the time of a step goes into.
#pragma once

#include "base/words.hpp"

namespace regroup {

enum class StepPhase { kGather, kCompute, kDispatch, kReduce, kVote, kUpdate, kSnapshot };
inline constexpr Words<StepPhase, 7> kStepPhaseWords{
    {"gather", "compute", "dispatch", "reduce", "vote", "update", "snapshot"}};
inline std::string to_string(StepPhase phase) { return kStepPhaseWords(phase); }

}  // namespace regroup
