// link.hpp: everything about one peer: its two connections, its messages, its pulse, and whether we dial it.
#pragma once

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
    kRedial,  // was connected: one try tells whether it is gone
  };

  Link(WorkerId who, Unmatched& unmatched) : id(std::move(who)), inbox(unmatched) {}

  const WorkerId id;
  Inbox inbox;

  std::mutex mutex;                                  // guards writing `lanes`, and reading it outside the I/O thread
  std::array<std::shared_ptr<Connection>, 2> lanes;  // by Lane

  // I/O thread only.
  std::optional<SocketAddress> address;
  Wish wish = Wish::kNone;
  std::array<Attempt, 2> attempts;
  std::chrono::steady_clock::time_point redial_until{};
  Pulse pulse;
  bool takes_part = false;  // in the epoch entered last
  bool announced = false;   // on_connected was said

  [[nodiscard]] std::shared_ptr<Connection> connection(Lane lane) {
    std::lock_guard lock(mutex);
    return lanes[static_cast<std::size_t>(lane)];
  }
  [[nodiscard]] bool connected() const { return lanes[0] && lanes[1]; }  // I/O thread
};

}  // namespace regroup::mesh
