#include "cli/plan/what_if_text.hpp"

#include "base/bytes_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <iterator>
#include <map>

namespace regroup::cli {
namespace {

using nlohmann::ordered_json;

std::string count_text(double value) {
  for (const auto& [unit, name] : {std::pair{1e15, " P"}, {1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}})
    if (value >= unit) return fmt::format("{:.2f}{}", value / unit, name);
  return fmt::format("{:.0f}", value);
}

// "3 x 42 + 2 x 41"
std::string sizes_text(const std::vector<int>& sizes) {
  std::map<int, int, std::greater<>> count;
  for (const int size : sizes) ++count[size];
  std::string text;
  for (const auto& [size, groups] : count) text += fmt::format("{}{} x {}", text.empty() ? "" : " + ", groups, size);
  return text.empty() ? "none" : text;
}

std::string gone_text(const NodesGone& gone) {
  std::string text = fmt::format("{:>3} gone  state from {}", gone.nodes, kStateFromWords(gone.state_from));
  if (gone.state_from == StateFrom::kSnapshotsOrCheckpoint || gone.state_from == StateFrom::kSnapshotsOrNowhere)
    text += " (if a node went together with its buddy)";
  if (!gone.trains) return text + "; " + gone.reason;
  return text +
         fmt::format(
             "; at once {} workers in groups of {}, {} to move; then {}, {} to move; steps take {:.2f} x the time",
             [&] {
               int workers = 0;
               for (const int size : gone.groups) workers += size;
               return workers;
             }(),
             sizes_text(gone.groups), memory_text(gone.bytes_at_once), sizes_text(gone.balanced_groups),
             memory_text(gone.bytes_to_move), gone.slower);
}

}  // namespace

std::string what_if_text(const JobSpec& job, const ImaginedCluster& cluster, const WhatIf& r) {
  std::string out;
  const auto line = [&](const char* name, const std::string& text) {
    fmt::format_to(std::back_inserter(out), "{:<14} {}\n", name, text);
  };
  line("model", fmt::format("{}, {} parameters, {} active for a token", info_of(job.model.architecture).model_type,
                            count_text(static_cast<double>(r.parameters)),
                            count_text(static_cast<double>(r.active_parameters))));
  line("work",
       fmt::format("{}FLOP a token forward and backward ({} in matrices, {} in attention); {} tokens, {}FLOP a step",
                   count_text(r.work.total()), count_text(r.work.matrices), count_text(r.work.attention),
                   r.tokens_per_step, count_text(r.work.total() * static_cast<double>(r.tokens_per_step))));
  line("state", memory_text(r.state_bytes) + " a copy: fp32 master weights and both moments");
  line("cluster", fmt::format("{} nodes x {} workers{}", cluster.nodes, cluster.workers_per_node,
                              cluster.memory_bytes > 0 ? ", " + memory_text(cluster.memory_bytes) + " a worker" : ""));
  if (r.placement.groups.empty()) {
    line("plan", "none: " + r.reason);
  } else {
    line("groups",
         fmt::format("{} ({}), {} waves of microbatches a step; {} of {} workers compute", r.placement.groups.size(),
                     sizes_text(sizes_of(r.placement)), r.waves, r.placement.num_ranks(), r.members));
    line("experts", r.fewest_experts == r.most_experts
                        ? fmt::format("{} a worker", r.most_experts)
                        : fmt::format("{} to {} a worker", r.fewest_experts, r.most_experts));
  }
  const planning::MemoryNeed& m = r.memory;
  line("memory", fmt::format("{} a worker at most: weights {}, moments {}, gradients {}, dense weights and leaves {}, "
                             "activations {}, buffers {}",
                             memory_text(m.total()), memory_text(m.weights), memory_text(m.moments),
                             memory_text(m.gradients), memory_text(m.dense), memory_text(m.activations),
                             memory_text(m.buffers) +
                                 (m.products > 0 ? ", products' descriptors " + memory_text(m.products) : "")));
  line("", memory_text(m.regroup()) + " in a regroup, which keeps the old state until all have the new");
  if (r.placement.groups.empty()) return out;
  line("snapshots",
       fmt::format("{} of a node's memory", memory_text(3 * (m.weights + m.moments) * cluster.workers_per_node)));
  const Traffic& t = r.traffic;
  line("wire",
       fmt::format("{} a step: gather {}, dispatch {}, reduce {} + {} between groups", memory_text(t.total()),
                   memory_text(t.gather), memory_text(t.dispatch), memory_text(t.leaves), memory_text(t.nodes)));
  line("", fmt::format("{} of it between machines, at most {} from one", memory_text(t.between_machines),
                       memory_text(t.most_of_a_machine)));
  for (std::size_t i = 0; i < r.losses.size(); ++i) line(i == 0 ? "nodes go" : "", gone_text(r.losses[i]));
  return out;
}

std::string what_if_json(const WhatIf& r) {
  const planning::MemoryNeed& m = r.memory;
  const Traffic& t = r.traffic;
  ordered_json losses = ordered_json::array();
  for (const NodesGone& gone : r.losses)
    losses.push_back({{"nodes", gone.nodes},
                      {"first", gone.first},
                      {"state_from", kStateFromWords(gone.state_from)},
                      {"trains", gone.trains},
                      {"reason", gone.reason},
                      {"groups", gone.groups},
                      {"balanced_groups", gone.balanced_groups},
                      {"bytes_at_once", gone.bytes_at_once},
                      {"bytes_to_move", gone.bytes_to_move},
                      {"slower", gone.slower}});
  const ordered_json json = {
      {"parameters", r.parameters},
      {"active_parameters", r.active_parameters},
      {"tokens_per_step", r.tokens_per_step},
      {"flop_per_token", {{"matrices", r.work.matrices}, {"attention", r.work.attention}, {"total", r.work.total()}}},
      {"state_bytes", r.state_bytes},
      {"fits", !r.placement.groups.empty()},
      {"reason", r.reason},
      {"groups", sizes_of(r.placement)},
      {"members", r.members},
      {"waves", r.waves},
      {"experts_per_worker", {r.fewest_experts, r.most_experts}},
      {"memory_bytes",
       {{"weights", m.weights},
        {"moments", m.moments},
        {"gradients", m.gradients},
        {"dense", m.dense},
        {"activations", m.activations},
        {"buffers", m.buffers},
        {"products", m.products},
        {"total", m.total()},
        {"regroup", m.regroup()}}},
      {"wire_bytes",
       {{"gather", t.gather},
        {"dispatch", t.dispatch},
        {"leaves", t.leaves},
        {"nodes", t.nodes},
        {"total", t.total()},
        {"between_machines", t.between_machines},
        {"most_of_a_machine", t.most_of_a_machine}}},
      {"losses", losses}};
  return json.dump(2);
}

}  // namespace regroup::cli
