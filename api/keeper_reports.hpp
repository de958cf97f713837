// keeper_reports.hpp: what became of a snapshot that a worker took: kept, and written to disk.
#pragma once

#include "base/ids.hpp"

#include <cstdint>
#include <string>

namespace regroup {

struct SnapshotKept {  // checked, and safe at the buddy if one was named
  WorkerId worker;
  Step step;
  Epoch epoch;  // in which it was taken
  std::int64_t bytes = 0;
  double seconds = 0;   // since take()
  std::string buddy;    // address; empty = none was needed
  std::string problem;  // not empty: it is kept here only, and does not count as safe
};

struct CheckpointSaved {
  WorkerId worker;
  Step step;
  Epoch epoch;
  bool committed = false;  // this node wrote the manifest
  std::string directory;
  std::int64_t bytes = 0;  // of this part, or of all files when committed
  double seconds = 0;
  std::string problem;  // not empty: nothing counts; training goes on
};

}  // namespace regroup
