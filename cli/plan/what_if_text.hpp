// what_if_text.hpp: a what-if as `regroup plan` prints it, for people and as JSON. Pure.
#pragma once

#include "cli/plan/what_if.hpp"

#include <string>

namespace regroup::cli {

std::string what_if_text(const JobSpec& job, const ImaginedCluster& cluster, const WhatIf& result);
std::string what_if_json(const WhatIf& result);

}  // namespace regroup::cli
