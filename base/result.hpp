// result.hpp: expected failures as values.
//
// Result<T> is a T or an Error. Codes say what the *caller* does about it, not who failed.
// Broken invariants are not errors: see check.hpp.
#pragma once

#include <boost/system/result.hpp>

#include <stdexcept>
#include <string>
#include <string_view>

namespace regroup {

enum class Code {
  kBadInput,     // tell the user; the same call fails again
  kNotFound,     // it is not there
  kConflict,     // somebody else was first: read again, decide again
  kUnavailable,  // try again later; nothing was done
  kUnknown,      // it may or may not have happened: read back
  kTimeout,      // the deadline passed
  kPeerLost,     // a peer is gone: report it, wait for the next plan
  kNewerEpoch,   // a newer plan exists: stop this and go there
  kCorrupt,      // a checksum or format is wrong: use another source
  kInternal,     // give up this process; its supervisor starts another
};

std::string_view name_of(Code code);

struct Error {
  Code code = Code::kInternal;
  std::string context;  // one sentence: what, where, what to do

  // The same error with "outer: " in front.
  [[nodiscard]] Error within(std::string_view outer) const { return {code, std::string(outer) + ": " + context}; }
};

inline std::string to_string(const Error& error) {
  return error.context + " (" + std::string(name_of(error.code)) + ")";
}

[[noreturn]] inline void throw_exception_from_error(const Error& error, const boost::source_location&) {
  throw std::runtime_error(to_string(error));
}

template <class T>
using Result = boost::system::result<T, Error>;

}  // namespace regroup
