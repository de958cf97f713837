// join_updates.hpp: one update of a watch in place of two that follow each other, for a reader that is behind. Pure.
#pragma once

#include "store/store.hpp"

namespace regroup {

// True: `queued` now says what both say, of each key the newest event; whoever applies it knows what they would know
// after both. False, and nothing is changed, when either is a cut or `next` is a listing anew (reset): readers judge by
// these how long they have seen everything.
bool join_updates(WatchUpdate& queued, WatchUpdate& next);

}  // namespace regroup
