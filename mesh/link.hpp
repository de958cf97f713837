// link.hpp: everything about one peer: its two connections, its messages, its pulse, and whether we dial it.
#pragma once

#include "base/guarded.hpp"
#include "mesh/connection.hpp"
#include "mesh/pulse.hpp"
#include "net/address.hpp"

#include <optional>

namespace regroup::mesh {

struct HandshakeSocket;

// Dialling one lane. I/O thread only.
struct Attempt {
  HandshakeSocket* active = nullptr;
  std::chrono::steady_clock::time_point next{};
  int failures = 0;
};

struct Link {
  enum class Wish {
    kNone,    // not dialled
    kWanted,  // dialled until connected
    kRedial,  // was connected: gone if a dial is refused, or has failed four times or for one heartbeat
  };

  Link(WorkerId who, Unmatched& unmatched) : id(std::move(who)), arrivals(unmatched) {}

  const WorkerId id;
  Arrivals arrivals;

  OneWriter<std::array<std::shared_ptr<Connection>, 2>> lanes;  // by Lane; the I/O thread writes

  // I/O thread only.
  std::optional<SocketAddress> address;
  Wish wish = Wish::kNone;
  std::array<Attempt, 2> attempts;
  std::chrono::steady_clock::time_point redial_until{};
  Pulse pulse;
  bool takes_part = false;  // in the epoch entered last
  bool never_met = false;   // takes part, and was not connected yet since that epoch was entered
  bool gap = false;         // takes part, and messages of that epoch may be lost: said once it is connected

  [[nodiscard]] const std::shared_ptr<Connection>& at(Lane lane) const {
    return lanes.mine()[static_cast<std::size_t>(lane)];
  }
  [[nodiscard]] Attempt& attempt(Lane lane) { return attempts[static_cast<std::size_t>(lane)]; }
  [[nodiscard]] bool connected() const { return lanes.mine()[0] && lanes.mine()[1]; }
};

}  // namespace regroup::mesh
