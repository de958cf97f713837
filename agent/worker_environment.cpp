#include "agent/worker_environment.hpp"

#include "base/environment.hpp"
#include "base/log.hpp"

namespace regroup::agent {
namespace {

// The allocator asks for huge pages: the kernel frees a dead worker's memory before it closes its sockets, so peers
// hear of the death later the more pages there are.
constexpr const char* kHugePages = "glibc.malloc.hugetlb";
const std::string kTunables = "GLIBC_TUNABLES=";

std::string with_huge_pages(const std::string& setting) {
  return setting.find(kHugePages) != std::string::npos ? setting : setting + ":" + kHugePages + "=1";
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : " ") + word;
  return all;
}

}  // namespace

std::vector<std::string> worker_environment(const std::vector<std::string>& settings) {
  std::vector<std::string> environment = plain_environment();
  set_variable(environment, kTunables + kHugePages + "=1");
  for (const std::string& setting : settings)
    set_variable(environment, setting.starts_with(kTunables) ? with_huge_pages(setting) : setting);
  return environment;
}

void log_worker_environment(const std::vector<std::string>& settings) {
  log::info("worker_environment",
            {{"variables", joined(worker_environment(settings))}, {"worker_env", joined(settings)}});
  std::vector<std::string> left_out = steering_variables_left_out();
  if (left_out.empty()) return;
  log::warn("worker_environment_left_out",
            {{"names", joined(left_out)},
             {"note", "workers do not get them; what they shall get is given with --worker-env NAME=VALUE"}});
}

}  // namespace regroup::agent
