// listing.hpp: which snapshots are still whole, and the answer to "list". Any thread.
#pragma once

#include "agent/snapshots/shelf.hpp"
#include "api/snapshots/peer_wire.hpp"

namespace regroup::agent {

// Reads every slot, which a worker may have half filled anew, and compares it with its checksums, on a few threads;
// removes from the shelf what does not match. `still_at_it` is called about five times a second meanwhile. Newest
// first.
std::vector<SnapshotPtr> whole_snapshots(Shelf& shelf, const std::function<void()>& still_at_it);

// The answer. While memory is being read, a space now and then keeps the asker's timeout from ending the connection. An
// error: the connection is of no more use.
Result<void> answer_list(PeerSocket& socket, Shelf& shelf);

}  // namespace regroup::agent
