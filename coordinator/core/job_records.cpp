#include "coordinator/core/cluster_view.hpp"

#include <algorithm>
#include <utility>

namespace regroup::coordinator {

bool JobRecords::has_committed(Epoch epoch) const {
  return std::any_of(progress.begin(), progress.end(),
                     [&](const auto& said) { return said.second.value.epoch >= epoch; });
}

bool JobRecords::is_news(const NodeId& node, const ProgressRecord& record) const {
  const auto known = progress.find(node);
  if (known == progress.end()) return true;
  const ProgressRecord& before = known->second.value;
  return before.epoch != record.epoch || before.state != record.state || before.reason != record.reason ||
         before.weights_sha256 != record.weights_sha256;
}

bool JobRecords::names(Epoch epoch) const {
  const auto pointer = current ? plan_pointer_from_json(current->value) : Result<PlanPointer>(PlanPointer());
  return pointer && pointer->epoch == epoch;
}

const Seen<LoadRecord>* JobRecords::newest_load() const {
  const Seen<LoadRecord>* newest = nullptr;
  for (const auto& [node, load] : loads) {
    const ModelShape& model = spec->value.model;
    if (static_cast<std::int64_t>(load.value.expert_load.size()) != model.num_hidden_layers * model.num_local_experts)
      continue;
    const auto age = [](const Seen<LoadRecord>& of) { return std::pair(of.value.epoch, of.value.step); };
    if (newest == nullptr || age(*newest) < age(load)) newest = &load;
  }
  return newest;
}

}  // namespace regroup::coordinator
