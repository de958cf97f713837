// peer_limits.hpp: how many may come to the peer port at one time.
#pragma once

#include <cstddef>

namespace regroup::agent {

struct PeerLimits {
  std::size_t strangers = 64;     // connections that have not proved the job's secret yet
  std::size_t connections = 512;  // in all
  std::size_t at_work = 64;       // requests that are answered; the others wait for their turn, and are told so
};

}  // namespace regroup::agent
