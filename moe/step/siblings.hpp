// siblings.hpp: the sum of gradients across groups: an all-reduce over the HSDP replicas of a shard, in a fixed order.
//
// Owners of the same blocks in different groups are siblings. Each group has completed some nodes of the binary tree
// over the job's chains; every owner sends its nodes to its siblings, and then joins all nodes in the tree's order. So
// replicas hold the same bits (docs/decisions/0002), which a plain all-reduce would not promise.
// One thread. Throws Interrupted; after that only discard() may be called.
#pragma once

#include "layout/tree.hpp"
#include "mesh/mesh.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/floats.hpp"
#include "moe/state/shards.hpp"

#include <map>
#include <vector>

namespace regroup {

struct Node {  // of one shard
  TreeNode node;
  Floats value;  // numel() of the shard, or of the blocks that were sent
};

class Siblings {
 public:
  Siblings(const EpochView& view, mesh::Mesh& mesh, const ShardStore& store, FloatPool& pool);

  void begin(Step step);  // posts the receives of their nodes
  // Sends the nodes that this group has completed, all of `shard`; their values stay where they are until complete().
  void send(const Shard& shard, const std::vector<Node>& nodes);
  // Waits for the siblings' nodes and joins them with ours: the sum over the step, in a buffer of `nodes` or of the
  // pool. `squares` becomes the squared norm of each block, taken while the block is in the cache.
  Floats complete(const Shard& shard, std::vector<Node>& nodes, std::vector<double>& squares);
  void discard();
  [[nodiscard]] double seconds_waited() const { return seconds_waited_; }

 private:
  struct Exchange {  // with one owner in another group
    Rank rank;
    Interval blocks;
    std::vector<TreeNode> received;          // nodes of their group
    int first_sent = 0, first_received = 0;  // running numbers of the transfers
    std::vector<Floats> values;              // received
    std::vector<mesh::TransferPtr> receives;
  };
  struct Exchanges {  // of one shard
    std::vector<Exchange> with;
    std::vector<mesh::TransferPtr> sends;
  };
  struct Part {  // a node's value over one run of blocks
    TreeNode node;
    Floats* buffer = nullptr;
    std::int64_t offset = 0;  // of the run in it
  };

  void enumerate_exchanges(const ShardStore& store);
  static std::vector<Part> parts_of(const Shard& shard, std::vector<Node>& nodes, std::vector<Exchange>& exchanges,
                                    Interval blocks);
  void wait(std::vector<mesh::TransferPtr>& transfers);

  const EpochView& view_;
  mesh::Mesh& mesh_;
  FloatPool& pool_;
  Step step_;
  std::map<ShardStore::Key, Exchanges> exchanges_;  // of every shard
  double seconds_waited_ = 0;
};

}  // namespace regroup
