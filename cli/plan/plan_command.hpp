// plan_command.hpp: `regroup plan JOB.yaml`: what the job would be on a cluster of a given size.
#pragma once

#include "cli/plan/what_if.hpp"

#include <string>

namespace regroup::cli {

std::string what_if_text(const JobSpec& job, const ImaginedCluster& cluster, const WhatIf& result);
std::string what_if_json(const WhatIf& result);

}  // namespace regroup::cli
