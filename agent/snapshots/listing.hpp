// listing.hpp: which snapshots are still whole, and the answer to "list". Any thread.
#pragma once

#include "agent/snapshots/shelf.hpp"
#include "api/snapshots/peer_wire.hpp"

namespace regroup {

// Compares every byte that a worker may have written over with its checksum, on a few threads; takes what does not
// match off the shelf. `still_at_it` is called about five times a second meanwhile. Newest first.
std::vector<SnapshotPtr> whole_snapshots(Shelf& shelf, const std::function<void()>& still_at_it);

// The answer, with a byte now and then while memory is being read: whoever asked waits for bytes, not for us. An error:
// the connection is of no more use.
Result<void> answer_list(PeerSocket& socket, Shelf& shelf);

}  // namespace regroup
