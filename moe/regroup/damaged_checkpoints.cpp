#include "moe/regroup/damaged_checkpoints.hpp"

#include "base/log.hpp"
#include "checkpoint/io/catalog.hpp"

#include <algorithm>

namespace regroup {

void DamagedCheckpoints::add(const std::string& path, Step step, const std::string& problem) {
  // what the system did not let a member read may be whole
  if (problem.ends_with("(" + std::string(name_of(Code::kCorrupt)) + ")")) damaged_.push_back(path);
  add("the checkpoint " + path + " cannot be read: " + problem, step);
}

void DamagedCheckpoints::add(const std::string& sentence, Step newest) {
  text_ += "; " + sentence;
  newest_ = std::max(newest_, newest);
}

void DamagedCheckpoints::set_aside(const std::string& root) const {
  if (root.empty()) return;
  const auto aside = checkpoint::set_damaged_aside(root, damaged_);
  if (!aside) log::error("damaged_checkpoint_stays", {{"directory", root}, {"reason", to_string(aside.error())}});
  if (aside)
    for (const std::string& path : *aside) log::warn("damaged_checkpoint_set_aside", {{"now", path}});
}

}  // namespace regroup
