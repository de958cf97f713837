// words.hpp: the words of an enum, as they stand in etcd, on the wire, in journals, logs and metrics. Frozen.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace regroup {

// Index = enumerator: the enumerators count from 0 without a gap.
template <class Enum, std::size_t N>
struct Words {
  std::array<const char*, N> words;
  [[nodiscard]] std::string operator()(Enum value) const { return words.at(static_cast<std::size_t>(value)); }
  // Nothing is an empty word.
  [[nodiscard]] std::string operator()(std::optional<Enum> value) const { return value ? (*this)(*value) : ""; }
  // Nothing: the word is of another version, or of none.
  [[nodiscard]] std::optional<Enum> find(std::string_view word) const {
    for (std::size_t i = 0; i < N; ++i) {
      if (word == words[i]) return static_cast<Enum>(i);
    }
    return std::nullopt;
  }
};

}  // namespace regroup
