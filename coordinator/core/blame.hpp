// blame.hpp: whom to remove when workers accuse each other: the fewest that explain every report. Pure.
//
// Between two workers that lost each other one report is as good as the other: when A accuses B, then B is gone, or A
// cannot reach it. If one worker is removed, all reports by it and about it are explained. So the fewest workers are
// removed that explain every report: one whose network failed accuses all others and is accused by all, and it alone
// goes.
//
// Rule, in two steps. First: a worker that is accused and reports nothing itself in this epoch is guilty, since a
// living one would have noticed that the connection is broken, and said so. Second, among workers that all report:
// accusations are the edges of a graph, and the guilty are a minimum vertex cover. Ties: most often accused, then
// fewest bytes held, then smallest id. While a silent worker is only accused provisionally, nobody is chosen in the
// second step, because the numbers still change.
//
// Equal inputs give equal output. Cost: exact for covers of up to 12 workers, greedy beyond.
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
