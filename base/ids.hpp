// ids.hpp: strong names for the numbers that must not be mixed up. docs/words.md explains the words.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <utility>

namespace regroup {

template <class Tag, class Value>
struct Strong {
  Value value{};
  constexpr Strong() = default;
  constexpr explicit Strong(Value v) : value(std::move(v)) {}
  friend auto operator<=>(const Strong&, const Strong&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Strong& id) { return out << id.value; }
};

using Epoch = Strong<struct EpochTag, std::uint64_t>;  // number of a plan; 0 = none yet
using Step = Strong<struct StepTag, std::int64_t>;     // number of committed steps; 0 = initial weights
using Rank = Strong<struct RankTag, int>;              // position of a worker in one plan; donors follow the members
using NodeId = Strong<struct NodeIdTag, std::string>;  // configured, else the host name

// One life of one worker process.
struct WorkerId {
  NodeId node;
  std::uint64_t incarnation = 0;  // of its agent
  int slot = 0;
  int start = 0;  // how many workers this slot has started before in this incarnation
  friend auto operator<=>(const WorkerId&, const WorkerId&) = default;
};

// "node/incarnation/slot/start", incarnation in hex: the text form everywhere (JSON, logs, wire).
std::string to_string(const WorkerId& id);
// Inverse of to_string; false when the text is not of that form.
bool parse_worker_id(const std::string& text, WorkerId& id);

}  // namespace regroup

template <class Tag, class Value>
struct std::hash<regroup::Strong<Tag, Value>> {
  std::size_t operator()(const regroup::Strong<Tag, Value>& id) const noexcept { return std::hash<Value>{}(id.value); }
};
