#include "store/etcd/grpc_environment.hpp"

#include "base/log.hpp"

#include <cstdlib>
#include <sstream>
#include <string>

namespace regroup {

void drop_unusable_grpc_settings() {
  constexpr const char* kName = "GRPC_POLL_STRATEGY";
  const char* given = std::getenv(kName);
  if (given == nullptr) return;
  std::istringstream words(given);
  for (std::string word; std::getline(words, word, ',');)
    if (word == "all" || word == "epoll1" || word == "poll") return;
  log::warn("setting_left_out", {{"variable", std::string(kName) + "=" + given},
                                 {"reason", "gRPC knows all, epoll1 and poll, and would abort"}});
  ::unsetenv(kName);
}

}  // namespace regroup
