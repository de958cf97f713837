// route.hpp: what must move to get from what is held to what is wanted. Pure; every transfer of the runtime is an
// instance.
//
// Order: equal inputs give equal output on every machine (ties break by id). Cost: O(pieces * holders of a piece).
#pragma once

#include "layout/interval.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace regroup {

// Somebody (a rank, an agent, a file) who has these blocks of this unit.
struct Holding {
  int holder = 0;
  int unit = 0;
  IntervalSet blocks;
  friend auto operator<=>(const Holding&, const Holding&) = default;
};

// These blocks of this unit go from `from` to `to`. Never from == to.
struct Piece {
  int unit = 0;
  Interval blocks;
  int from = 0;
  int to = 0;
  friend auto operator<=>(const Piece&, const Piece&) = default;
};

struct RouteResult {
  std::vector<Piece> pieces;     // ascending (to, unit, blocks.lo)
  std::vector<Holding> missing;  // wanted by holder `holder`, held by nobody
};

// distance(from, to): smaller is nearer (0 same host, 1 same zone, ...). block_bytes[unit]: bytes of one block, to
// balance senders by bytes. What a wanter holds itself is never moved. Among the nearest holders the one with the
// fewest bytes to send so far is taken.
RouteResult route(const std::vector<Holding>& held, const std::vector<Holding>& wanted,
                  const std::vector<std::int64_t>& block_bytes, const std::function<int(int from, int to)>& distance);

}  // namespace regroup
