#include "moe/step/siblings.hpp"

#include "base/now.hpp"
#include "moe/ops/owner_update.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/state/tags.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace regroup {
namespace {

// Numbers the node transfers of each directed pair of ranks.
struct Numbering {
  std::map<std::pair<int, int>, int> next;  // (from, to)
  int take(Rank from, Rank to, std::size_t count) {
    int& n = next[{from.value, to.value}];
    const int first = n;
    n += static_cast<int>(count);
    return first;
  }
};

// values[into] += values[from].
struct Join {
  std::size_t into = 0, from = 0;
};

// How parts that lie in the order of their chains become one, which is then where the first of them was.
template <typename Part>
std::vector<Join> joins_of(const std::vector<Part>& parts) {
  std::vector<Join> joins;
  std::vector<TreeNode> stack;
  std::vector<std::size_t> open;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    open.push_back(i);
    for (int left = joins_after_push(stack, parts[i].node); left > 0; --left) {
      const std::size_t right = open.back();
      open.pop_back();
      joins.push_back({open.back(), right});
    }
  }
  REGROUP_CHECK(open.size() == 1, "the groups' nodes do not make one tree:", open.size());
  return joins;
}

}  // namespace

Siblings::Siblings(const EpochView& view, mesh::Mesh& mesh, const ShardStore& store, FloatPool& pool)
    : view_(view), mesh_(mesh), pool_(pool) {
  for (const auto& [key, shard] : store.all()) exchanges_[key];
  enumerate_exchanges(store);
}

// Both ends of a transfer must give it the same number, and nobody tells the other. What two owners exchange is the
// overlaps of their blocks, the same ones from either side; each of them visits those in ascending unit and block and
// counts the pair's transfers by themselves, so whom else it visits in between does not matter.
void Siblings::enumerate_exchanges(const ShardStore& store) {
  Numbering numbering;
  const std::size_t num_sent = cover(view_.group().first_chain, view_.group().end_chain).size();
  const auto add = [&](const Unit& unit, const Group& theirs, Rank rank, Interval overlap) {
    const ShardPtr shard = store.containing(unit.index, overlap);
    REGROUP_CHECK(shard != nullptr, "no shard of unit", unit.index, "blocks", overlap.lo, overlap.hi);
    Exchange exchange;
    exchange.rank = rank;
    exchange.blocks = overlap;
    exchange.received = cover(theirs.first_chain, theirs.end_chain);
    exchange.first_sent = numbering.take(view_.self, rank, num_sent);
    exchange.first_received = numbering.take(rank, view_.self, exchange.received.size());
    exchanges_.at({unit.index, shard->blocks.lo}).with.push_back(std::move(exchange));
  };
  for (const Unit& unit : view_.job->units) {
    const IntervalSet mine = view_.kept(unit.index, view_.self);
    for (const Group& theirs : view_.plan.placement.groups) {
      if (&theirs == &view_.group()) continue;
      for (const Rank rank : theirs.ranks) {
        for (const Interval& overlap : mine.intersect(view_.kept(unit.index, rank)).intervals())
          add(unit, theirs, rank, overlap);
      }
    }
  }
}

void Siblings::begin(Step step) {
  step_ = step;
  seconds_waited_ = 0;
  for (auto& [key, exchanges] : exchanges_) {
    const std::int64_t block_elements = view_.job->units[static_cast<std::size_t>(key.first)].block_elements;
    for (Exchange& exchange : exchanges.with) {
      int number = exchange.first_received;
      for (std::size_t i = 0; i < exchange.received.size(); ++i) {
        exchange.values.push_back(pool_.take(exchange.blocks.size() * block_elements));
        Floats& value = exchange.values.back();
        exchange.receives.push_back(mesh_.receive(exchange.rank, make_tag(step_, TransferOp::kNodes, number++),
                                                  writable_bytes(value.data(), value.size())));
      }
    }
  }
}

void Siblings::send(const Shard& shard, const std::vector<Node>& nodes) {
  Exchanges& exchanges = exchanges_.at({shard.unit, shard.blocks.lo});
  for (const Exchange& exchange : exchanges.with) {
    const std::int64_t offset = shard.element_of(exchange.blocks.lo);
    const std::int64_t count = exchange.blocks.size() * shard.block_elements;
    int number = exchange.first_sent;
    for (const Node& node : nodes) {
      exchanges.sends.push_back(mesh_.send(exchange.rank, make_tag(step_, TransferOp::kNodes, number++),
                                           bytes_of(node.value.data() + offset, count)));
    }
  }
}

std::vector<Siblings::Part> Siblings::parts_of(const Shard& shard, std::vector<Node>& nodes,
                                               std::vector<Exchange>& exchanges, Interval blocks) {
  std::vector<Part> parts;
  for (Node& node : nodes) parts.push_back({node.node, &node.value, shard.element_of(blocks.lo)});
  for (Exchange& exchange : exchanges) {
    if (exchange.blocks.lo > blocks.lo || exchange.blocks.hi < blocks.hi) continue;
    for (std::size_t i = 0; i < exchange.received.size(); ++i)
      parts.push_back(
          {exchange.received[i], &exchange.values[i], (blocks.lo - exchange.blocks.lo) * shard.block_elements});
  }
  // In the order of their chains, whoever sent them and whenever they came: the joins, and so every bit of the sum, are
  // then the same at each owner.
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.node.first() < b.node.first(); });
  return parts;
}

Floats Siblings::complete(const Shard& shard, std::vector<Node>& nodes, std::vector<double>& squares) {
  Exchanges& exchanges = exchanges_.at({shard.unit, shard.blocks.lo});
  for (Exchange& exchange : exchanges.with) wait(exchange.receives);
  // Sums are written into the first node's buffer, which may still be on its way to others.
  wait(exchanges.sends);
  std::vector<int> cuts{shard.blocks.lo, shard.blocks.hi};
  for (const Exchange& exchange : exchanges.with) {
    cuts.push_back(exchange.blocks.lo);
    cuts.push_back(exchange.blocks.hi);
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  const bool in_one = cuts.size() == 2;
  Floats sum = in_one ? Floats() : pool_.take(shard.numel());
  squares.clear();
  for (std::size_t c = 0; c + 1 < cuts.size(); ++c) {
    std::vector<Part> parts = parts_of(shard, nodes, exchanges.with, {cuts[c], cuts[c + 1]});
    const std::vector<Join> joins = joins_of(parts);
    for (int block = cuts[c]; block < cuts[c + 1]; ++block) {
      const auto of = [&](const Part& part) {
        return part.buffer->data() + part.offset + (block - cuts[c]) * shard.block_elements;
      };
      for (const Join& join : joins) ops::add(of(parts[join.into]), of(parts[join.from]), shard.block_elements);
      float* joined = of(parts.front());
      if (!in_one)
        joined = static_cast<float*>(std::memcpy(sum.data() + shard.element_of(block), joined,
                                                 static_cast<std::size_t>(shard.block_elements) * sizeof(float)));
      squares.push_back(ops::squared_norm(joined, shard.block_elements));
    }
    if (in_one) sum = std::move(*parts.front().buffer);
  }
  return sum;
}

void Siblings::wait(std::vector<mesh::TransferPtr>& transfers) {
  const auto start = std::chrono::steady_clock::now();
  for (const mesh::TransferPtr& transfer : transfers) must(mesh_.wait(transfer));
  transfers.clear();
  seconds_waited_ += seconds_since(start);
}

void Siblings::discard() {
  for (auto& [key, exchanges] : exchanges_) {
    exchanges.sends.clear();
    for (Exchange& exchange : exchanges.with) {
      exchange.receives.clear();
      for (Floats& value : exchange.values) pool_.give(std::move(value));
      exchange.values.clear();
    }
  }
}

}  // namespace regroup
