// state_source.hpp: where the state that an epoch goes on from came from.
#pragma once

#include "base/words.hpp"

namespace regroup {

enum class StateSource {
  kLive,        // the members' memory
  kSnapshot,    // at least one block from a snapshot in an agent's memory
  kCheckpoint,  // the durable checkpoint that the plan names
  kFresh,       // initial weights
};
inline constexpr Words<StateSource, 4> kStateSourceWords{{"live", "snapshot", "checkpoint", "fresh"}};
inline std::string to_string(StateSource source) { return kStateSourceWords(source); }

}  // namespace regroup
