// blame.hpp: whom to remove when workers accuse each other: the fewest that explain every report. Pure.
//
// An accusation is an edge reporter -> accused; it is explained when either end is removed. A worker that is accused
// and itself says nothing in this epoch is guilty: a living one would object, since a broken connection is broken for
// both ends. What is left, between workers that all talk, is a minimum vertex cover (none while provisional accusations
// are open); ties: most often accused, then fewest bytes held, then smallest id. Order: equal inputs give equal output.
// Cost: exact for covers up to 12 workers, greedy beyond.
#pragma once

#include <cstdint>
#include <vector>

namespace regroup::coordinator {

struct Accusation {
  int reporter = 0;  // index of a suspect, below
  int accused = 0;
  bool provisional = false;  // one voice alone, and young: guilty only when others agree or time passes
};

struct BlameInput {
  int num_suspects = 0;                  // in ascending order of id
  std::vector<bool> certain;             // [suspect] known to be lost from elsewhere
  std::vector<std::int64_t> bytes_held;  // [suspect]
  std::vector<Accusation> accusations;
};

struct Blame {
  std::vector<int> guilty;  // ascending, with the certain ones
  bool undecided = false;   // a provisional accusation waits
};

Blame find_guilty(const BlameInput& input);

}  // namespace regroup::coordinator
