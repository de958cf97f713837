#include "base/result.hpp"

namespace regroup {

std::string_view name_of(Code code) {
  switch (code) {
    case Code::kBadInput:
      return "bad input";
    case Code::kNotFound:
      return "not found";
    case Code::kConflict:
      return "conflict";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kUnknown:
      return "outcome unknown";
    case Code::kTimeout:
      return "timeout";
    case Code::kPeerLost:
      return "peer lost";
    case Code::kNewerEpoch:
      return "newer epoch";
    case Code::kCorrupt:
      return "corrupt";
    case Code::kInternal:
      return "internal";
  }
  return "?";
}

}  // namespace regroup
