// arrival_order.hpp: the sums of moe/step/reduction.hpp without an order: what comes is added at once into the one
// accumulator of its shard. Here alone, to compare with.
//
// Takes the calls of Reduction in the same order. A group's whole part of a shard goes to its siblings as one buffer,
// where Reduction sends the nodes of `cover`: the same bytes while each group's chains make one node. A sibling's part
// is added once the own one has left, since the transport reads it where it lies.
#pragma once

#include "mesh/mesh.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/floats.hpp"
#include "moe/state/shards.hpp"
#include "moe/step/reduction.hpp"

#include <map>
#include <vector>

namespace regroup::bench {

class ArrivalOrder {
 public:
  ArrivalOrder(const EpochView& view, mesh::Mesh& mesh, const ShardStore& store, FloatPool& pool);

  void begin(Step step);
  void begin_wave(int wave);
  float* leaf(int unit);
  void send_leaf(int unit, int wave);   // and adds this rank's own
  void add_leaves(int unit, int wave);  // adds whatever comes until all leaves of this unit have
  float* expert_accumulator(int unit, int microbatch, bool& fresh);
  void unit_done(int unit);
  void finish();
  [[nodiscard]] const Reduction::Gradient& gradient(const Shard& shard) const;
  void discard();

 private:
  struct Part {  // of a sibling
    Rank rank;
    Interval blocks;
    int sent_number = 0, received_number = 0;
    Floats value;
    mesh::TransferPtr send, receive;  // no `receive`: added already
  };
  struct Sum {  // of one shard
    ShardPtr shard;
    bool fresh = true;
    bool sent = false;
    Reduction::Gradient gradient;
    std::vector<Part> parts;
  };
  struct Leaf {  // of another member
    int unit = 0;
    Sum* sum = nullptr;
    Floats value;
    mesh::TransferPtr receive;
  };

  void add(Sum& sum, const float* leaf);
  bool add_leaves_that_came();
  bool add_parts_that_came();
  [[nodiscard]] mesh::Tag leaf_tag(int unit, int wave, int number) const;

  const EpochView& view_;
  mesh::Mesh& mesh_;
  FloatPool& pool_;
  Step step_;
  std::map<ShardStore::Key, Sum> sums_;
  std::map<int, Floats> leaves_;  // [dense unit]
  std::map<int, std::vector<mesh::TransferPtr>> leaf_sends_;
  std::vector<Leaf> arriving_;  // oldest first
};

}  // namespace regroup::bench
