// reduction.hpp: the gradients of a step, summed in the one order that the job fixes: inside a chain by ascending microbatch, chains by the binary tree.
//
// Dense units: every computing rank makes one leaf a microbatch and sends each owner its blocks; the owner adds them in the order of microbatches. Expert units: the holder
// adds into the chain's accumulator itself. When a group has completed its part of the tree, siblings (owners of the same blocks in other groups) exchange the nodes that
// remain and each completes the tree, so that all replicas hold the same bits.
// One thread. Throws Interrupted; after that only discard() may be called.
#pragma once

#include "mesh/mesh.hpp"
#include "moe/layout/tree.hpp"
#include "moe/train/epoch_view.hpp"
#include "moe/train/floats.hpp"
#include "moe/train/shards.hpp"

#include <map>
#include <vector>

namespace regroup {

class Reduction {
 public:
  Reduction(const EpochView& view, Mesh& mesh, const ShardStore& store, FloatPool& pool);

  void begin(Step step);
  void begin_wave(int wave);                                 // posts the receives of the others' leaves
  float* leaf(int unit);                                     // this worker's leaf buffer of a dense unit, free to be written
  void send_leaf(int unit, int wave);
  void add_leaves(int unit, int wave);                       // waits for and adds all leaves of the wave
  // Where the holder adds its expert's weight gradients of `microbatch`; calls come in ascending microbatch. `fresh`: nothing was added yet and the content is undefined,
  // so the caller writes instead of adding.
  float* expert_accumulator(int unit, int microbatch, bool& fresh);
  void unit_done(int unit);                                  // no more gradients of this unit in this step
  void finish();                                             // every unit is done: waits for the siblings, completes each tree as its nodes come
  [[nodiscard]] bool complete() const { return complete_; }
  [[nodiscard]] const float* gradient(const Shard& shard) const;   // sum over the step, not yet divided by the number of targets
  void discard();
  [[nodiscard]] double seconds_waited() const { return seconds_waited_; }

 private:
  struct Node {
    TreeNode node;
    Floats value;
  };
  struct Running {               // of one shard
    ShardPtr shard;
    int chain = 0;               // of the accumulator
    bool fresh = true;
    Floats accumulator;
    std::vector<Node> nodes;     // completed, joined as far as this group can
    std::vector<TreeNode> stack;
  };
  struct Exchange {              // with one owner in another group
    Rank rank;
    int group = 0;
    Interval blocks;
    std::vector<TreeNode> sent, received;   // nodes of our group, of theirs
    int first_sent = 0, first_received = 0; // running numbers of the transfers
    std::vector<Floats> values;             // received
    std::vector<TransferPtr> receives;
  };
  using Key = ShardStore::Key;

  void close_until(Running& running, int chain);
  void add(Running& running, int chain, const float* leaf);
  void complete_tree(const Key& key, Running& running);
  // Until the siblings' nodes are here and have ours.
  void wait_for_nodes(const Key& key);
  void wait(const std::vector<TransferPtr>& transfers);
  // The sum of `blocks` over all groups, made in the buffer of its first part: a node of this group, or one that a sibling sent.
  float* join(Running& running, std::vector<Exchange>& exchanges, Interval blocks);
  static Floats take_buffer(const float* data, Running& running, std::vector<Exchange>& exchanges);
  std::vector<Running*> running_of(int unit);

  const EpochView& view_;
  Mesh& mesh_;
  FloatPool& pool_;
  Step step_;
  std::map<Key, Running> running_;
  std::map<Key, std::vector<Exchange>> exchanges_;
  std::map<Key, Floats> gradients_;
  std::map<int, Floats> leaves_;                              // [dense unit]
  std::map<int, std::vector<TransferPtr>> leaf_sends_;
  struct Arriving {
    int source = 0;   // member
    Key key;
    Floats values;
    TransferPtr receive;
  };
  std::map<int, std::vector<Arriving>> arriving_;             // [dense unit], by source then interval
  std::map<Key, std::vector<TransferPtr>> node_sends_;
  bool complete_ = false;
  double seconds_waited_ = 0;
};

}  // namespace regroup
