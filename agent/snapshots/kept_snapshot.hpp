// kept_snapshot.hpp: one snapshot in this agent's memory: where its blocks lie, and their checksums from when it was
// taken.
//
// Immutable once it is on the shelf. Only the bytes in a worker's slot may still change, because the worker may fill
// the slot again; the checksums tell.
#pragma once

#include "agent/snapshots/region.hpp"
#include "api/worker_protocol.hpp"
#include "checkpoint/io/save.hpp"

#include <memory>
#include <vector>

namespace regroup::agent {

struct KeptEntry {
  int unit = 0;
  Interval blocks;
  std::int64_t block_elements = 0;
  std::int64_t offset = 0;         // bytes into the region
  std::size_t first_checksum = 0;  // [array * blocks.size() + block] from here in `checksums`
  [[nodiscard]] std::int64_t array_bytes() const {
    return blocks.size() * block_elements * static_cast<std::int64_t>(sizeof(float));
  }
  [[nodiscard]] std::size_t num_checksums() const { return static_cast<std::size_t>(blocks.size()) * 3; }
  friend bool operator==(const KeptEntry&, const KeptEntry&) = default;
};

struct KeptSnapshot {
  WorkerId taken_by;
  Step step;
  Epoch epoch;
  // the slot that it came from, as a number of its owner's; a newer snapshot of the same worker there replaces this one
  std::uint64_t place = 0;
  bool in_slot = false;  // a worker may write there at any time; else a copy that nobody changes
  std::shared_ptr<Region> memory;
  std::vector<KeptEntry> entries;
  std::vector<std::uint64_t> checksums;
  BadSteps bad;

  [[nodiscard]] std::int64_t bytes() const;
  [[nodiscard]] const std::byte* array(const KeptEntry& entry, int array, int block) const;  // first byte of this block
  [[nodiscard]] const std::uint64_t* sums(const KeptEntry& entry, int array, int block) const;
};
using SnapshotPtr = std::shared_ptr<const KeptSnapshot>;

// block_elements: [unit]. kBadInput: no such unit or blocks, or outside of the region.
Result<std::vector<KeptEntry>> check_entries(const std::vector<SnapshotEntry>& entries,
                                             const std::vector<std::int64_t>& block_elements,
                                             std::int64_t region_bytes);
// Entries laid out anew one after the other, as in a copy; gives the bytes needed. kBadInput.
Result<std::int64_t> lay_out(std::vector<SnapshotEntry>& entries, const std::vector<std::int64_t>& block_elements);

std::vector<std::uint64_t> sums_of(const KeptSnapshot& snapshot);
// Of its checksums, which are there: what other groups' snapshots of the same step are compared with.
std::vector<checkpoint::UnitSum> unit_sums_of(const KeptSnapshot& snapshot);
// `blocks` lies within the entry's.
bool still_matches(const KeptSnapshot& snapshot, const KeptEntry& entry, Interval blocks);

}  // namespace regroup::agent
