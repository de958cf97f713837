// blame.hpp: whom to remove when workers accuse each other: the fewest that explain every report. Pure.
//
// Between two workers that lost each other one report is as good as the other: when A accuses B, then B is gone, or A
// cannot reach it. If one worker is removed, all reports by it and about it are explained. So the fewest workers are
// removed that explain every report: one whose network failed accuses all others and is accused by all, and it alone
// goes.
//
// Who may be wrong. A worker that hears nobody any more, while all hear it, accuses everybody, and nobody accuses it:
// it is the lone voice that goes, not they. So what one worker alone says of several is not believed at once, and what
// one says of another while a third could speak is given time, in which the third agrees or not.
//
// Rule. An accused that reports nothing itself is *quiet*. A quiet one is guilty at once when every worker that is not
// quiet accuses it, or when a connection to it ended and cannot be had again; but neither where one voice alone accuses
// several. Else its accusations get time (`young`), and while any of them is young nothing more is decided, because the
// numbers still change. Then accusations are the edges of a graph, and the guilty are a minimum vertex cover. Ties:
// most often accused, then fewest bytes held, then smallest id. One voice alone that several connections ended is
// believed then: a worker cut off in that way is accused by the others as well.
//
// Equal inputs give equal output. Cost: exact for covers of up to 12 workers, greedy beyond.
#pragma once

#include <cstdint>
#include <vector>

namespace regroup::coordinator {

struct Accusation {
  int reporter = 0;  // index of a suspect, below
  int accused = 0;
  bool young = false;  // others may still agree or object
  bool ended = false;  // the connection ended, and cannot be had again
};

struct BlameInput {
  int num_suspects = 0;                  // in ascending order of id
  std::vector<bool> certain;             // [suspect] known to be lost from elsewhere
  std::vector<std::int64_t> bytes_held;  // [suspect]
  std::vector<Accusation> accusations;
};

struct Blame {
  std::vector<int> guilty;  // ascending, with the certain ones
  bool undecided = false;   // a young accusation waits
};

Blame find_guilty(const BlameInput& input);

}  // namespace regroup::coordinator
