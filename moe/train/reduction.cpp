#include "moe/train/reduction.hpp"

#include "moe/train/interrupt.hpp"
#include "moe/train/ops/state.hpp"
#include "moe/train/tags.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace regroup {
namespace {

// Running numbers of a directed pair's node transfers: both sides walk units, then overlaps, then nodes in the same order.
struct Numbering {
  std::map<std::pair<int, int>, int> next;  // (from, to)
  int take(Rank from, Rank to, std::size_t count) {
    int& n = next[{from.value, to.value}];
    const int first = n;
    n += static_cast<int>(count);
    return first;
  }
};

}  // namespace

Reduction::Reduction(const EpochView& view, Mesh& mesh, const ShardStore& store, FloatPool& pool) : view_(view), mesh_(mesh), pool_(pool) {
  for (const auto& [key, shard] : store.all()) running_[key].shard = shard;
  Numbering numbering;
  const auto& groups = view_.plan.placement.groups;
  for (const Unit& unit : view_.job->units) {
    if (!unit.is_expert()) {
      leaves_.emplace(unit.index, Floats(unit.padded_numel()));
      leaves_.at(unit.index).zero();
    }
    const IntervalSet mine = view_.kept(unit.index, view_.self);
    for (int g = 0; g < static_cast<int>(groups.size()); ++g) {
      if (g == view_.group_index) continue;
      for (const Rank rank : groups[static_cast<std::size_t>(g)].ranks) {
        for (const Interval& overlap : mine.intersect(view_.kept(unit.index, rank)).intervals()) {
          const ShardPtr shard = store.containing(unit.index, overlap);
          REGROUP_CHECK(shard != nullptr, "no shard of unit", unit.index, "blocks", overlap.lo, overlap.hi);
          Exchange exchange;
          exchange.rank = rank;
          exchange.group = g;
          exchange.blocks = overlap;
          exchange.sent = cover(view_.group().first_chain, view_.group().end_chain);
          exchange.received = cover(groups[static_cast<std::size_t>(g)].first_chain, groups[static_cast<std::size_t>(g)].end_chain);
          exchange.first_sent = numbering.take(view_.self, rank, exchange.sent.size());
          exchange.first_received = numbering.take(rank, view_.self, exchange.received.size());
          exchanges_[{unit.index, shard->blocks.lo}].push_back(std::move(exchange));
        }
      }
    }
  }
}

void Reduction::begin(Step step) {
  discard();
  step_ = step;
  seconds_waited_ = 0;
  for (auto& [key, running] : running_) {
    running.chain = view_.group().first_chain;
    running.fresh = true;
    running.accumulator = pool_.take(running.shard->numel());
  }
  for (auto& [key, exchanges] : exchanges_) {
    const std::int64_t block_elements = running_.at(key).shard->block_elements;
    for (Exchange& exchange : exchanges) {
      int number = exchange.first_received;
      for (std::size_t i = 0; i < exchange.received.size(); ++i) {
        exchange.values.push_back(pool_.take(exchange.blocks.size() * block_elements));
        Floats& value = exchange.values.back();
        exchange.receives.push_back(mesh_.receive(exchange.rank, make_tag(step_, TransferOp::kNodes, number++), writable_bytes(value.data(), value.size())));
      }
    }
  }
}

void Reduction::begin_wave(int wave) {
  const int units = static_cast<int>(view_.job->units.size());
  for (const auto& [key, running] : running_) {
    const int unit = key.first;
    if (view_.job->units[static_cast<std::size_t>(unit)].is_expert()) continue;
    int number = 0;
    for (const Interval& blocks : view_.kept(unit, view_.self).intervals()) {
      if (blocks == running.shard->blocks) break;
      ++number;
    }
    for (int source = 0; source < view_.group_size(); ++source) {
      if (source == view_.member || view_.microbatch(wave, source) < 0) continue;
      Arriving arriving{source, key, pool_.take(running.shard->numel()), nullptr};
      const Tag tag = make_tag(step_, TransferOp::kLeaf, (wave * units + unit) * 256 + number);
      arriving.receive = mesh_.receive(view_.rank_of(source), tag, writable_bytes(arriving.values.data(), arriving.values.size()));
      arriving_[unit].push_back(std::move(arriving));
    }
  }
}

float* Reduction::leaf(int unit) {
  auto& sends = leaf_sends_[unit];
  for (const TransferPtr& send : sends) must(mesh_.wait(send));
  sends.clear();
  return leaves_.at(unit).data();
}

void Reduction::send_leaf(int unit, int wave) {
  const int units = static_cast<int>(view_.job->units.size());
  const std::int64_t block_elements = view_.job->units[static_cast<std::size_t>(unit)].block_elements;
  const float* data = leaves_.at(unit).data();
  for (int owner = 0; owner < view_.group_size(); ++owner) {
    if (owner == view_.member) continue;
    int number = 0;
    for (const Interval& blocks : view_.kept(unit, view_.rank_of(owner)).intervals()) {
      const Tag tag = make_tag(step_, TransferOp::kLeaf, (wave * units + unit) * 256 + number++);
      leaf_sends_[unit].push_back(mesh_.send(view_.rank_of(owner), tag, bytes_of(data + blocks.lo * block_elements, blocks.size() * block_elements)));
    }
  }
}

std::vector<Reduction::Running*> Reduction::running_of(int unit) {
  std::vector<Running*> result;
  for (auto it = running_.lower_bound({unit, 0}); it != running_.end() && it->first.first == unit; ++it) result.push_back(&it->second);
  return result;
}

void Reduction::add_leaves(int unit, int wave) {
  const auto start = std::chrono::steady_clock::now();
  for (int source = 0; source < view_.group_size(); ++source) {
    const int microbatch = view_.microbatch(wave, source);
    if (microbatch < 0) continue;
    const int chain = view_.job->chain_of(microbatch);
    for (Running* running : running_of(unit)) {
      if (source == view_.member) {
        add(*running, chain, leaves_.at(unit).data() + running->shard->blocks.lo * running->shard->block_elements);
        continue;
      }
      for (Arriving& arriving : arriving_[unit]) {
        if (arriving.source != source || arriving.key.second != running->shard->blocks.lo) continue;
        must(mesh_.wait(arriving.receive));
        add(*running, chain, arriving.values.data());
        pool_.give(std::move(arriving.values));
      }
    }
  }
  arriving_[unit].clear();
  seconds_waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void Reduction::close_until(Running& running, int chain) {
  while (running.chain < chain) {
    if (running.fresh) running.accumulator.zero();
    running.nodes.push_back({{0, running.chain}, std::move(running.accumulator)});
    int joins = joins_after_push(running.stack, {0, running.chain});
    while (joins-- > 0) {
      Node right = std::move(running.nodes.back());
      running.nodes.pop_back();
      Node& left = running.nodes.back();
      ops::add(left.value.data(), right.value.data(), left.value.size());
      left.node = left.node.parent();
      pool_.give(std::move(right.value));
    }
    ++running.chain;
    running.fresh = true;
    if (running.chain < view_.group().end_chain) running.accumulator = pool_.take(running.shard->numel());
  }
}

void Reduction::add(Running& running, int chain, const float* leaf) {
  close_until(running, chain);
  if (running.fresh) {
    std::memcpy(running.accumulator.data(), leaf, static_cast<std::size_t>(running.accumulator.size()) * sizeof(float));
    running.fresh = false;
  } else {
    ops::add(running.accumulator.data(), leaf, running.accumulator.size());
  }
}

float* Reduction::expert_accumulator(int unit, int microbatch, bool& fresh) {
  Running& running = running_.at({unit, 0});
  close_until(running, view_.job->chain_of(microbatch));
  fresh = running.fresh;
  running.fresh = false;
  return running.accumulator.data();
}

void Reduction::unit_done(int unit) {
  for (Running* running : running_of(unit)) {
    close_until(*running, view_.group().end_chain);
    const auto exchanges = exchanges_.find({unit, running->shard->blocks.lo});
    if (exchanges == exchanges_.end()) continue;
    for (const Exchange& exchange : exchanges->second) {
      const std::int64_t offset = running->shard->element_of(exchange.blocks.lo);
      const std::int64_t count = exchange.blocks.size() * running->shard->block_elements;
      int number = exchange.first_sent;
      for (const Node& node : running->nodes) {
        node_sends_[exchanges->first].push_back(mesh_.send(exchange.rank, make_tag(step_, TransferOp::kNodes, number++), bytes_of(node.value.data() + offset, count)));
      }
    }
  }
}

float* Reduction::join(Running& running, std::vector<Exchange>& exchanges, Interval blocks) {
  const std::int64_t block_elements = running.shard->block_elements;
  std::vector<std::pair<TreeNode, float*>> parts;
  for (const Node& node : running.nodes) parts.emplace_back(node.node, node.value.data() + running.shard->element_of(blocks.lo));
  for (const Exchange& exchange : exchanges) {
    if (exchange.blocks.lo > blocks.lo || exchange.blocks.hi < blocks.hi) continue;
    for (std::size_t i = 0; i < exchange.received.size(); ++i) {
      parts.emplace_back(exchange.received[i], exchange.values[i].data() + (blocks.lo - exchange.blocks.lo) * block_elements);
    }
  }
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.first.first() < b.first.first(); });
  std::vector<TreeNode> stack;
  std::vector<float*> values;
  for (const auto& [node, value] : parts) {
    values.push_back(value);
    for (int joins = joins_after_push(stack, node); joins > 0; --joins) {
      float* right = values.back();
      values.pop_back();
      ops::add(values.back(), right, blocks.size() * block_elements);
    }
  }
  REGROUP_CHECK(values.size() == 1, "the groups' nodes do not make one tree:", values.size());
  return values.front();
}

Floats Reduction::take_buffer(const float* data, Running& running, std::vector<Exchange>& exchanges) {
  for (Node& node : running.nodes) {
    if (node.value.data() == data) return std::move(node.value);
  }
  for (Exchange& exchange : exchanges) {
    for (Floats& value : exchange.values) {
      if (value.data() == data) return std::move(value);
    }
  }
  REGROUP_CHECK(false, "no buffer begins there");
  return {};
}

void Reduction::complete_tree(const Key& key, Running& running) {
  const Interval whole = running.shard->blocks;
  const auto found = exchanges_.find(key);
  std::vector<Exchange> none;
  std::vector<Exchange>& exchanges = found == exchanges_.end() ? none : found->second;
  if (std::all_of(exchanges.begin(), exchanges.end(), [&](const Exchange& exchange) { return exchange.blocks == whole; })) {
    gradients_[key] = take_buffer(join(running, exchanges, whole), running, exchanges);
    return;
  }
  std::vector<int> cuts{whole.lo, whole.hi};
  for (const Exchange& exchange : exchanges) {
    cuts.push_back(exchange.blocks.lo);
    cuts.push_back(exchange.blocks.hi);
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  Floats sum = pool_.take(running.shard->numel());
  for (std::size_t c = 0; c + 1 < cuts.size(); ++c) {
    const Interval blocks{cuts[c], cuts[c + 1]};
    const std::int64_t count = blocks.size() * running.shard->block_elements;
    std::memcpy(sum.data() + running.shard->element_of(blocks.lo), join(running, exchanges, blocks), static_cast<std::size_t>(count) * sizeof(float));
  }
  gradients_[key] = std::move(sum);
}

void Reduction::finish() {
  // From the last unit to the first, as they were sent: trees whose nodes have come are completed while the others' are on their way.
  for (auto it = running_.rbegin(); it != running_.rend(); ++it) {
    wait_for_nodes(it->first);
    complete_tree(it->first, it->second);
  }
  node_sends_.clear();
  for (auto& [unit, sends] : leaf_sends_) {
    wait(sends);
    sends.clear();
  }
  complete_ = true;
}

void Reduction::wait_for_nodes(const Key& key) {
  if (const auto found = exchanges_.find(key); found != exchanges_.end()) {
    for (Exchange& exchange : found->second) {
      wait(exchange.receives);
      exchange.receives.clear();
    }
  }
  // The tree is completed in the buffers that the siblings are sent from.
  if (const auto found = node_sends_.find(key); found != node_sends_.end()) wait(found->second);
}

void Reduction::wait(const std::vector<TransferPtr>& transfers) {
  const auto start = std::chrono::steady_clock::now();
  for (const TransferPtr& transfer : transfers) must(mesh_.wait(transfer));
  seconds_waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

const float* Reduction::gradient(const Shard& shard) const {
  const auto found = gradients_.find({shard.unit, shard.blocks.lo});
  REGROUP_CHECK(found != gradients_.end(), "no gradient of unit", shard.unit);
  return found->second.data();
}

void Reduction::discard() {
  complete_ = false;
  node_sends_.clear();
  for (auto& [unit, sends] : leaf_sends_) sends.clear();
  for (auto& [unit, list] : arriving_) {
    for (Arriving& arriving : list) pool_.give(std::move(arriving.values));
    list.clear();
  }
  for (auto& [key, exchanges] : exchanges_) {
    for (Exchange& exchange : exchanges) {
      exchange.receives.clear();
      for (Floats& value : exchange.values) pool_.give(std::move(value));
      exchange.values.clear();
    }
  }
  for (auto& [key, running] : running_) {
    pool_.give(std::move(running.accumulator));
    running.accumulator = Floats();
    for (Node& node : running.nodes) pool_.give(std::move(node.value));
    running.nodes.clear();
    running.stack.clear();
  }
  for (auto& [key, gradient] : gradients_) pool_.give(std::move(gradient));
  gradients_.clear();
}

}  // namespace regroup
