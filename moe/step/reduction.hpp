// reduction.hpp: the gradients of a step, summed to their owners: a reduce-scatter within the group, in the one order
// that the job fixes.
//
// Floating-point sums depend on their order, so the job fixes it: within a chain by ascending microbatch, and chains by
// a binary tree (layout/tree.hpp), whatever the number of ranks and groups.
// Dense units: each rank writes one leaf (the gradient of one microbatch) and sends every owner its blocks of it; the
// owner adds leaves in the order of microbatches. Expert units: the holder adds into the chain's accumulator itself.
// The nodes of the tree that a group completes go to the other groups (siblings.hpp).
// One thread. Throws Interrupted; after that only discard() may be called.
#pragma once

#include "mesh/mesh.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/floats.hpp"
#include "moe/state/shards.hpp"
#include "moe/step/siblings.hpp"

#include <map>
#include <vector>

namespace regroup {

class Reduction {
 public:
  struct Gradient {               // of one shard
    Floats sum;                   // over the step, not yet divided by the number of targets
    std::vector<double> squares;  // squared norm of each of its blocks
  };

  Reduction(const EpochView& view, mesh::Mesh& mesh, const ShardStore& store, FloatPool& pool);

  void begin(Step step);
  void begin_wave(int wave);  // posts the receives of the others' leaves
  float* leaf(int unit);      // this worker's leaf buffer of a dense unit, free to be written
  void send_leaf(int unit, int wave);
  void add_leaves(int unit, int wave);  // waits for and adds all leaves of the wave
  // Where the holder adds its expert's weight gradients of `microbatch`; calls come in ascending microbatch. `fresh`:
  // nothing was added yet and the content is undefined, so the caller writes instead of adding.
  float* expert_accumulator(int unit, int microbatch, bool& fresh);
  void unit_done(int unit);  // no more gradients of this unit in this step
  void finish();             // every unit is done: waits for the siblings, completes each tree as its nodes come
  [[nodiscard]] const Gradient& gradient(const Shard& shard) const;
  void discard();
  [[nodiscard]] double seconds_waited() const { return seconds_waited_ + siblings_.seconds_waited(); }

 private:
  struct Running {  // of one shard
    ShardPtr shard;
    int chain = 0;  // of the accumulator
    bool fresh = true;
    Floats accumulator;
    std::vector<Node> nodes;  // completed, joined as far as this group can
    std::vector<TreeNode> stack;
  };
  using Key = ShardStore::Key;

  void close_until(Running& running, int chain);
  void add(Running& running, int chain, const float* leaf);
  std::vector<Running*> running_of(int unit);

  const EpochView& view_;
  mesh::Mesh& mesh_;
  FloatPool& pool_;
  Step step_;
  std::map<Key, Running> running_;
  std::map<Key, Gradient> gradients_;
  std::map<int, Floats> leaves_;  // [dense unit]
  std::map<int, std::vector<mesh::TransferPtr>> leaf_sends_;
  struct Arriving {
    int source = 0;  // member
    Key key;
    Floats values;
    mesh::TransferPtr receive;
  };
  std::map<int, std::vector<Arriving>> arriving_;  // [dense unit], by source then interval
  Siblings siblings_;
  double seconds_waited_ = 0;
};

}  // namespace regroup
