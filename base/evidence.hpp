// evidence.hpp: what speaks for the loss of a worker.
#pragma once

#include "base/words.hpp"

namespace regroup {

enum class Evidence {
  kExit,     // its agent saw the process end
  kEof,      // a connection to it broke, and with it the messages of its epoch (mesh/README.md)
  kSilence,  // no beat came from it for too long
  kHang,     // it beats and waits for nobody, but its progress stands still
  kSelf,     // it says so itself
};
inline constexpr Words<Evidence, 5> kEvidenceWords{{"exit", "eof", "silence", "hang", "self"}};
inline std::string to_string(Evidence evidence) { return kEvidenceWords(evidence); }

}  // namespace regroup
