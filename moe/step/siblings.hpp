// siblings.hpp: the nodes of the sum's tree that owners of the same blocks in different groups send each other, and the
// tree that each of them completes.
//
// Every owner sends what its group has completed, and adds what all groups have completed in the tree's order: replicas
// hold the same bits (docs/decisions/0002). One thread. Throws Interrupted; after that only discard() may be called.
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
  // Waits for their nodes and joins them with ours: the sum over the step, in a buffer of `nodes` or of the pool.
  // `squares` becomes the squared norm of each block, taken while the block is in the cache.
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
