// peer_requests.hpp: answers one request of an admitted peer, and asks one: "put" from both sides. Blocking; no lock is
// held while bytes move.
#pragma once

#include "agent/snapshots/shelf.hpp"
#include "api/snapshots/peer_wire.hpp"

namespace regroup::agent {

// What is wrong with the request goes back as an error frame; an error here means that the connection is of no more
// use.
Result<void> answer(PeerSocket& socket, Shelf& shelf, RegionPool& copies, const std::string& request);

// Sends a snapshot to the agent that listens at the other end, which drops everything older than `safe`. Success: it
// has all of it, checked. kCorrupt: our bytes changed meanwhile. kPeerLost, kTimeout: connect again. Else what the
// other side says.
Result<void> put_snapshot(PeerSocket& socket, const KeptSnapshot& snapshot, Step safe, const std::string& who);

}  // namespace regroup::agent
