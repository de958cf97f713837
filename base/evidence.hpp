// evidence.hpp: what speaks for the loss of a worker.
#pragma once

#include "base/words.hpp"

namespace regroup {

enum class Evidence {
  kExit,         // its agent saw the process end
  kEof,          // a connection to it broke and cannot be had again (mesh/README.md)
  kSilence,      // no beat came from it for too long
  kHang,         // it beats and waits for nobody, but its progress stands still
  kSelf,         // it says so itself
  kUnreachable,  // it is in the plan, and could not be connected to yet
  kLink,         // it lives: but a connection to it broke or fell silent, and the messages of its epoch are gone
};
inline constexpr Words<Evidence, 7> kEvidenceWords{{"exit", "eof", "silence", "hang", "self", "unreachable", "link"}};
inline std::string to_string(Evidence evidence) { return kEvidenceWords(evidence); }

}  // namespace regroup
