// initial_digest.hpp: a fresh job's weights, read from a directory that each node has for itself, are compared before
// the first step.
#pragma once

#include "api/job_spec.hpp"
#include "mesh/mesh.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/step/step.hpp"

namespace regroup {

// All members call it before the first step. Do the weights that every group has read have the digest that the job was
// submitted with? If not: WrongFiles on each member whose node's directory holds something else, which is refused, and
// Interrupted{kUnavailable} on the others, which name it and go on without it.
void check_initial_weights(StepRunner& runner, const EpochView& view, mesh::Mesh& mesh);

}  // namespace regroup
