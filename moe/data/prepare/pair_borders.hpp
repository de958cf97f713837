// pair_borders.hpp: where a BPE vocabulary can never join two neighbouring characters. Pure.
//
// A byte-pair merge makes a piece of the vocabulary from two neighbours. So if no piece holds the characters x, y side
// by side, nothing is ever merged across a border between x and y, and what stands left and right of it is segmented
// independently: the text may be cut there without changing one token. "▁" and the space that it stands for are one
// character here.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace regroup {

class PairBorders {
 public:
  // Every piece that a merge may make.
  explicit PairBorders(const std::vector<std::string_view>& pieces);

  // text = well-formed UTF-8. The end of the first chunk: the first border after position 0, or text.size().
  [[nodiscard]] std::size_t first(std::string_view text) const;
  // The last border in (0, text.size()); 0 if there is none. `before_space`: only borders with a space behind them.
  [[nodiscard]] std::size_t last(std::string_view text, bool before_space) const;
  [[nodiscard]] bool between(char32_t left, char32_t right) const;

 private:
  [[nodiscard]] std::size_t slot_of(std::uint64_t pair) const;
  bool joined_ascii_[128][128] = {};
  std::vector<std::uint64_t> joined_;  // open addressing, 0 = free; pairs that are not both ASCII
};

}  // namespace regroup
