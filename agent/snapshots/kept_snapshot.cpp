#include "agent/snapshots/kept_snapshot.hpp"

#include "api/snapshots/peer_wire.hpp"
#include "layout/units.hpp"

#include <xxhash.h>

#include <array>
#include <map>

namespace regroup::agent {
namespace {

constexpr std::int64_t kAlignment = 64;

Error bad_entry(const SnapshotEntry& entry, const char* why) {
  return {Code::kBadInput, "a snapshot names unit " + std::to_string(entry.unit) + ", blocks " +
                               std::to_string(entry.blocks.lo) + ".." + std::to_string(entry.blocks.hi) + ": " + why};
}

Result<KeptEntry> measure(const SnapshotEntry& entry, const std::vector<std::int64_t>& block_elements) {
  if (entry.unit < 0 || entry.unit >= static_cast<int>(block_elements.size()))
    return bad_entry(entry, "the model has no such unit");
  if (entry.blocks.lo < 0 || entry.blocks.lo >= entry.blocks.hi || entry.blocks.hi > kBlocksPerUnit)
    return bad_entry(entry, "no such blocks");
  return KeptEntry{entry.unit, entry.blocks, block_elements[static_cast<std::size_t>(entry.unit)], entry.offset, 0};
}

}  // namespace

std::int64_t KeptSnapshot::bytes() const {
  std::int64_t total = 0;
  for (const KeptEntry& entry : entries) total += 3 * entry.array_bytes();
  return total;
}

const std::byte* KeptSnapshot::array(const KeptEntry& entry, int array, int block) const {
  return memory->data() + entry.offset + array * entry.array_bytes() +
         (block - entry.blocks.lo) * entry.block_elements * static_cast<std::int64_t>(sizeof(float));
}

const std::uint64_t* KeptSnapshot::sums(const KeptEntry& entry, int array, int block) const {
  return checksums.data() + entry.first_checksum +
         static_cast<std::size_t>(array * entry.blocks.size() + block - entry.blocks.lo);
}

Result<std::vector<KeptEntry>> check_entries(const std::vector<SnapshotEntry>& entries,
                                             const std::vector<std::int64_t>& block_elements,
                                             std::int64_t region_bytes) {
  std::vector<KeptEntry> out;
  std::size_t sums = 0;
  for (const SnapshotEntry& entry : entries) {
    auto kept = measure(entry, block_elements);
    if (!kept) return kept.error();
    if (entry.offset < 0 || entry.offset % kAlignment != 0 || entry.offset > region_bytes - 3 * kept->array_bytes())
      return bad_entry(entry, "it lies outside of its memory");
    kept->first_checksum = sums;
    sums += kept->num_checksums();
    out.push_back(*kept);
  }
  return out;
}

Result<std::int64_t> lay_out(std::vector<SnapshotEntry>& entries, const std::vector<std::int64_t>& block_elements) {
  std::int64_t end = 0;
  for (SnapshotEntry& entry : entries) {
    auto kept = measure(entry, block_elements);
    if (!kept) return kept.error();
    entry.offset = end;
    end += (3 * kept->array_bytes() + kAlignment - 1) / kAlignment * kAlignment;
  }
  return end;
}

std::vector<std::uint64_t> sums_of(const KeptSnapshot& snapshot) {
  std::vector<std::uint64_t> out;
  for (const KeptEntry& entry : snapshot.entries) {
    const auto sums = block_checksums(reinterpret_cast<const float*>(snapshot.array(entry, 0, entry.blocks.lo)),
                                      entry.blocks.size(), entry.block_elements);
    out.insert(out.end(), sums.begin(), sums.end());
  }
  return out;
}

std::vector<checkpoint::UnitSum> unit_sums_of(const KeptSnapshot& snapshot) {
  std::map<int, std::uint64_t> sums;
  for (const KeptEntry& entry : snapshot.entries) {
    for (int block = entry.blocks.lo; block < entry.blocks.hi; ++block) {
      std::array<std::uint64_t, 4> text{static_cast<std::uint64_t>(block)};
      for (int array = 0; array < 3; ++array)
        text[static_cast<std::size_t>(array) + 1] = *snapshot.sums(entry, array, block);
      sums[entry.unit] += ::XXH3_64bits(text.data(), sizeof text);
    }
  }
  std::vector<checkpoint::UnitSum> out;
  for (const auto& [unit, sum] : sums) out.push_back({unit, sum});
  return out;
}

bool still_matches(const KeptSnapshot& snapshot, const KeptEntry& entry, Interval blocks) {
  const auto block_bytes = static_cast<std::size_t>(entry.block_elements) * sizeof(float);
  for (int array = 0; array < 3; ++array) {
    for (int block = blocks.lo; block < blocks.hi; ++block) {
      if (::XXH3_64bits(snapshot.array(entry, array, block), block_bytes) != *snapshot.sums(entry, array, block))
        return false;
    }
  }
  return true;
}

}  // namespace regroup::agent
