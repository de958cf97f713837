#include "coordinator/planner/heavy_shares.hpp"

#include "base/check.hpp"

#include <algorithm>

namespace regroup::planning {
namespace {

// Layers take members: each layer `per_layer` of them, each member is taken between `least` and `most` times.
class Choice {
 public:
  Choice(int num_members, int per_layer, const std::vector<std::vector<int>>& wants)
      : wants_(wants), per_layer_(per_layer), taken_(wants.size()), load_(static_cast<std::size_t>(num_members)) {
    const int total = per_layer * static_cast<int>(wants.size());
    least_ = total / num_members;
    most_ = (total + num_members - 1) / num_members;
  }

  std::vector<std::vector<int>> run() {
    take_wanted();
    take_others();
    lift_the_lightest();
    return std::move(taken_);
  }

 private:
  [[nodiscard]] int num_layers() const { return static_cast<int>(taken_.size()); }
  [[nodiscard]] bool has(int layer, int member) const {
    return std::binary_search(taken_[layer].begin(), taken_[layer].end(), member);
  }
  [[nodiscard]] bool wants(int layer, int member) const {
    return std::binary_search(wants_[layer].begin(), wants_[layer].end(), member);
  }
  [[nodiscard]] bool full(int layer) const { return static_cast<int>(taken_[layer].size()) == per_layer_; }

  void add(int layer, int member) {
    taken_[layer].insert(std::lower_bound(taken_[layer].begin(), taken_[layer].end(), member), member);
    ++load_[member];
  }
  void drop(int layer, int member) {
    taken_[layer].erase(std::lower_bound(taken_[layer].begin(), taken_[layer].end(), member));
    --load_[member];
  }

  // As many wanted pairs as the limits allow: first come first served, then augmenting paths.
  void take_wanted() {
    for (int layer = 0; layer < num_layers(); ++layer) {
      for (int member : wants_[layer]) {
        if (!full(layer) && load_[member] < most_) add(layer, member);
      }
    }
    // A failed search has visited members from which no member with room can be reached. That stays so: a later path
    // cannot enter them, since it would have to leave them again, and so nothing about them changes. They stay marked.
    std::vector<bool> dead_ends(load_.size());
    for (int layer = 0; layer < num_layers(); ++layer) {
      while (!full(layer)) {
        visited_ = dead_ends;
        if (!augment(layer)) {
          dead_ends = visited_;
          break;
        }
      }
    }
  }

  // Gives `layer` one more member that it wants. Where that member is taken often enough, another layer that has it
  // must find a different one first.
  bool augment(int layer) {
    for (int member : wants_[layer]) {
      if (visited_[member] || has(layer, member)) continue;
      visited_[member] = true;
      if (load_[member] < most_) {
        add(layer, member);
        return true;
      }
      for (int other = 0; other < num_layers(); ++other) {
        if (other == layer || !has(other, member) || !augment(other)) continue;
        drop(other, member);
        add(layer, member);
        return true;
      }
    }
    return false;
  }

  void take_others() {
    for (int layer = 0; layer < num_layers(); ++layer) {
      while (!full(layer)) {
        int best = -1;
        for (int member = 0; member < static_cast<int>(load_.size()); ++member) {
          if (!has(layer, member) && (best < 0 || load_[member] < load_[best])) best = member;
        }
        CHECK(best >= 0, "layer", layer, "asks for", per_layer_, "members of", load_.size());
        if (load_[best] >= most_ && make_room(layer)) continue;
        add(layer, best);
      }
    }
  }

  // For the case that `layer` has every member with room already. Another layer takes such a member in exchange for one
  // that `layer` lacks, and that one comes here. Exchanges that give up a wanted pair are tried last.
  bool make_room(int layer) {
    for (const bool spare_wanted : {false, true}) {
      for (int other = 0; other < num_layers(); ++other) {
        for (int member : taken_[other]) {
          if (has(layer, member) || (wants(other, member) && !spare_wanted)) continue;
          for (int with_room : taken_[layer]) {
            if (load_[with_room] >= most_ || has(other, with_room)) continue;
            drop(other, member);
            add(other, with_room);
            add(layer, member);
            return true;
          }
        }
      }
    }
    return false;
  }

  // Every member is taken at least `least_` times: by swaps that give up no wanted pair while there are any, then by
  // any swap.
  void lift_the_lightest() {
    for (int member = 0; member < static_cast<int>(load_.size()); ++member) {
      while (load_[member] < least_ && (lift_by_swaps(member) || lift(member))) {
      }
    }
  }

  // A chain of swaps: `member` takes the place of a second one in some layer, that one takes the place of a third in
  // another layer, and so on, until it ends at one that was taken more than `least_` times. No swap replaces a member
  // that is wanted there by one that is not. Breadth first, so that few places change.
  bool lift_by_swaps(int member) {
    struct From {
      int member = -1;
      int layer = -1;
    };
    std::vector<From> reached(load_.size());  // [member] which one takes its place, and in which layer
    std::vector<int> queue = {member};
    visited_.assign(load_.size(), false);
    visited_[member] = true;
    for (std::size_t next = 0; next < queue.size(); ++next) {
      const int comes = queue[next];
      for (int layer = 0; layer < num_layers(); ++layer) {
        if (has(layer, comes)) continue;
        const bool wanted = wants(layer, comes);
        for (int goes : taken_[layer]) {
          if (visited_[goes] || (!wanted && wants(layer, goes))) continue;
          visited_[goes] = true;
          reached[goes] = {comes, layer};
          if (load_[goes] <= least_) {
            queue.push_back(goes);
            continue;
          }
          for (int at = goes; at != member; at = reached[at].member) {
            drop(reached[at].layer, at);
            add(reached[at].layer, reached[at].member);
          }
          return true;
        }
      }
    }
    return false;
  }

  bool lift(int member) {
    for (int layer = 0; layer < num_layers(); ++layer) {
      if (has(layer, member)) continue;
      for (int from : taken_[layer]) {
        if (load_[from] <= least_) continue;
        drop(layer, from);
        add(layer, member);
        return true;
      }
    }
    return false;
  }

  const std::vector<std::vector<int>>& wants_;
  int per_layer_;
  int least_ = 0;
  int most_ = 0;
  std::vector<std::vector<int>> taken_;  // [layer] ascending
  std::vector<int> load_;                // [member] layers that took it
  std::vector<bool> visited_;
};

}  // namespace

std::vector<std::vector<int>> choose_heavy(int num_members, int heavy_per_layer,
                                           const std::vector<std::vector<int>>& wants) {
  CHECK(num_members > 0 && heavy_per_layer >= 0 && heavy_per_layer < num_members, "members", num_members, "heavy",
        heavy_per_layer);
  if (heavy_per_layer == 0) return std::vector<std::vector<int>>(wants.size());
  return Choice(num_members, heavy_per_layer, wants).run();
}

}  // namespace regroup::planning
