// shards.hpp: the training state that this worker keeps: master weights and both moments of blocks of units.
// The worker's main thread changes it, once the copy for a snapshot, which reads it beside a step, is finished.
#pragma once

#include "layout/interval.hpp"
#include "layout/settle.hpp"
#include "layout/units.hpp"
#include "moe/state/floats.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace regroup {

struct Shard {
  int unit = 0;
  Interval blocks;
  std::int64_t block_elements = 0;
  Floats state;  // master weights, first moment, second moment, one after the other: numel() each
  Shard(const Unit& u, Interval b) : unit(u.index), blocks(b), block_elements(u.block_elements), state(3 * numel()) {}
  [[nodiscard]] std::int64_t numel() const { return blocks.size() * block_elements; }
  [[nodiscard]] std::int64_t element_of(int block) const { return (block - blocks.lo) * block_elements; }
  [[nodiscard]] float* array(int which) const { return state.data() + which * numel(); }
  [[nodiscard]] float* master() const { return array(0); }
};
using ShardPtr = std::shared_ptr<Shard>;

// Shards by (unit, first block). Two stores may share shards, so that an epoch's new store takes over what stays
// without a copy.
class ShardStore {
 public:
  using Key = std::pair<int, int>;
  void add(ShardPtr shard) { shards_[{shard->unit, shard->blocks.lo}] = std::move(shard); }
  [[nodiscard]] bool empty() const { return shards_.empty(); }
  [[nodiscard]] const std::map<Key, ShardPtr>& all() const { return shards_; }
  [[nodiscard]] ShardPtr exactly(int unit, Interval blocks) const;     // null if there is none with these very blocks
  [[nodiscard]] ShardPtr containing(int unit, Interval blocks) const;  // null if no one shard holds them all
  [[nodiscard]] std::vector<HeldBlocks> held() const;
  // The first master weight that is no finite number, as "TENSOR holds nan"; "" if all are. `units`: the job's.
  [[nodiscard]] std::string not_finite(const std::vector<Unit>& units) const;

 private:
  std::map<Key, ShardPtr> shards_;
};

}  // namespace regroup
