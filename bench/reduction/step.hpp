// step.hpp: the calls that a step makes to its reduction, in StepRunner's order, without forward and backward.
#pragma once

#include "moe/state/epoch_view.hpp"

#include <algorithm>
#include <cstdint>

namespace regroup::bench {

// `write`: gradients of microbatch m are m + 1 everywhere, so that each sum is exact in any order; otherwise what lies
// in the buffers stays.
template <class Sums>
void reduce(Sums& sums, const EpochView& view, bool write) {
  const auto value = [](int microbatch) { return static_cast<float>(microbatch + 1); };
  const auto& units = view.job->units;
  const int waves = view.waves();
  for (int wave = 0; wave < waves; ++wave) {
    sums.begin_wave(wave);
    for (auto unit = units.rbegin(); unit != units.rend(); ++unit) {
      if (!unit->is_expert()) {
        if (const int own = view.microbatch(wave, view.member); own >= 0) {
          float* leaf = sums.leaf(unit->index);
          if (write) std::fill_n(leaf, unit->padded_numel(), value(own));
          sums.send_leaf(unit->index, wave);
        }
      } else if (!view.kept(unit->index, view.self).empty()) {
        for (const int microbatch : view.microbatches(wave)) {
          if (microbatch < 0) continue;
          bool fresh = false;
          float* sum = sums.expert_accumulator(unit->index, microbatch, fresh);
          for (std::int64_t i = 0; write && i < unit->padded_numel(); ++i)
            sum[i] = (fresh ? 0.0F : sum[i]) + value(microbatch);
        }
      }
    }
    for (auto unit = units.rbegin(); unit != units.rend(); ++unit) {
      if (unit->is_expert()) continue;
      sums.add_leaves(unit->index, wave);
      if (wave + 1 == waves) sums.unit_done(unit->index);
    }
  }
  for (const Unit& unit : units)
    if (unit.is_expert()) sums.unit_done(unit.index);
  sums.finish();
}

}  // namespace regroup::bench
