// worker_environment.hpp: the environment of this node's workers: what base/environment.hpp lets through, and the
// agent's own settings (--worker-env), which belong to each worker's fingerprint.
#pragma once

#include <string>
#include <vector>

namespace regroup::agent {

// `settings` as checked_settings gives them; they win over what is let through.
std::vector<std::string> worker_environment(const std::vector<std::string>& settings);

// What the workers get, and a warning that names what was set for this process and is kept from them.
void log_worker_environment(const std::vector<std::string>& settings);

}  // namespace regroup::agent
