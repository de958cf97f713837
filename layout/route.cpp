#include "layout/route.hpp"

#include "base/check.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace regroup {
namespace {

// Blocks of one unit that the same holders have.
struct Segment {
  Interval blocks;
  std::vector<int> holders;  // ascending
};

// (holder, unit) -> blocks, several entries of one holder and unit joined.
using Blocks = std::map<std::pair<int, int>, IntervalSet>;

Blocks joined(const std::vector<Holding>& holdings) {
  Blocks out;
  for (const Holding& holding : holdings) {
    IntervalSet& blocks = out[{holding.holder, holding.unit}];
    blocks = blocks.empty() ? holding.blocks : blocks.unite(holding.blocks);
  }
  return out;
}

// [unit] -> segments, ascending; blocks that nobody holds are in none.
std::vector<std::vector<Segment>> segments_of(const Blocks& held, std::size_t num_units) {
  struct Edge {
    int at;
    int holder;
    bool opens;
  };
  std::vector<std::vector<Edge>> edges(num_units);
  for (const auto& [key, blocks] : held) {
    CHECK(key.second >= 0 && static_cast<std::size_t>(key.second) < num_units, "unit", key.second);
    for (const Interval& interval : blocks.intervals()) {
      edges[key.second].push_back({interval.lo, key.first, true});
      edges[key.second].push_back({interval.hi, key.first, false});
    }
  }
  std::vector<std::vector<Segment>> out(num_units);
  for (std::size_t unit = 0; unit < num_units; ++unit) {
    auto& list = edges[unit];
    std::sort(list.begin(), list.end(),
              [](const Edge& a, const Edge& b) { return std::tie(a.at, a.holder) < std::tie(b.at, b.holder); });
    std::vector<int> open;
    for (std::size_t i = 0; i < list.size();) {
      const int at = list[i].at;
      for (; i < list.size() && list[i].at == at; ++i) {
        const auto place = std::lower_bound(open.begin(), open.end(), list[i].holder);
        if (list[i].opens) {
          open.insert(place, list[i].holder);
        } else {
          open.erase(place);
        }
      }
      if (!open.empty()) out[unit].push_back({{at, list[i].at}, open});
    }
  }
  return out;
}

}  // namespace

RouteResult route(const std::vector<Holding>& held, const std::vector<Holding>& wanted,
                  const std::vector<std::int64_t>& block_bytes, const std::function<int(int from, int to)>& distance) {
  const Blocks have = joined(held);
  const Blocks want = joined(wanted);
  const auto segments = segments_of(have, block_bytes.size());
  std::map<int, std::int64_t> sent;  // bytes assigned to each sender so far
  RouteResult result;
  for (const auto& [key, blocks] : want) {
    const auto [to, unit] = key;
    CHECK(unit >= 0 && static_cast<std::size_t>(unit) < block_bytes.size(), "unit", unit);
    const auto own = have.find(key);
    const IntervalSet needed = own == have.end() ? blocks : blocks.subtract(own->second);
    IntervalSet missing = needed;
    for (const Interval& interval : needed.intervals()) {
      const auto& list = segments[unit];
      auto segment = std::lower_bound(list.begin(), list.end(), interval.lo,
                                      [](const Segment& s, int lo) { return s.blocks.hi <= lo; });
      for (; segment != list.end() && segment->blocks.lo < interval.hi; ++segment) {
        const Interval part{std::max(segment->blocks.lo, interval.lo), std::min(segment->blocks.hi, interval.hi)};
        auto best = std::make_tuple(0, std::int64_t{0}, 0);
        bool found = false;
        for (int from : segment->holders) {
          const auto candidate = std::make_tuple(distance(from, to), sent[from], from);
          if (!found || candidate < best) best = candidate;
          found = true;
        }
        const int from = std::get<2>(best);
        sent[from] += part.size() * block_bytes[unit];
        missing = missing.subtract({part});
        if (!result.pieces.empty()) {
          Piece& last = result.pieces.back();
          if (last.to == to && last.unit == unit && last.from == from && last.blocks.hi == part.lo) {
            last.blocks.hi = part.hi;
            continue;
          }
        }
        result.pieces.push_back({unit, part, from, to});
      }
    }
    if (!missing.empty()) result.missing.push_back({to, unit, missing});
  }
  return result;
}

}  // namespace regroup
