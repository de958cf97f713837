// deed.hpp: what may happen to a local run, and the words for it in events files, summaries and tables.
#pragma once

#include "base/words.hpp"

namespace regroup::cli {

enum class Deed {
  kKillWorker,       // SIGKILL of a worker
  kStopWorker,       // SIGSTOP of a worker
  kKillNode,         // SIGKILL of an agent and its worker
  kStopNode,         // SIGSTOP of both
  kJoin,             // a new node, or one that was killed, starts
  kDrain,            // SIGTERM of an agent
  kScale,            // a wish for `count` nodes
  kKillCoordinator,  // SIGKILL of the leader; another takes its place after a second
  kStopEtcd,         // SIGKILL of etcd, started again after `seconds`
  kFreezeEtcd,       // SIGSTOP for `seconds`
  kRestartAll,       // SIGKILL of everything, then `count` nodes
};
inline constexpr Words<Deed, 11> kDeedWords{{"kill-worker", "stop-worker", "kill-node", "stop-node", "join", "drain",
                                             "scale", "kill-coordinator", "stop-etcd", "freeze-etcd", "restart-all"}};
inline std::string to_string(Deed deed) { return kDeedWords(deed); }

}  // namespace regroup::cli
