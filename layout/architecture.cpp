#include "layout/architecture.hpp"

#include "base/check.hpp"

#include <algorithm>
#include <array>

namespace regroup {
namespace {

constexpr std::array<ArchitectureInfo, 3> kTable{{
    {Architecture::kMixtral,
     "mixtral",
     "MixtralForCausalLM",
     "block_sparse_moe.gate.weight",
     "block_sparse_moe.experts.",
     ".w1.weight",
     ".w3.weight",
     ".w2.weight",
     {nullptr, nullptr, nullptr},
     QkNorm::kNone,
     Window::kGiven,
     "num_local_experts",
     "intermediate_size",
     8,
     1e6,
     1e-5,
     0.001,
     true},
    {Architecture::kQwen3Moe,
     "qwen3_moe",
     "Qwen3MoeForCausalLM",
     "mlp.gate.weight",
     "mlp.experts.",
     ".gate_proj.weight",
     ".up_proj.weight",
     ".down_proj.weight",
     {"mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight"},
     QkNorm::kHead,
     Window::kWhenUsed,
     "num_experts",
     "moe_intermediate_size",
     4,
     1e4,
     1e-6,
     0.001,
     false},
    {Architecture::kOlmoe,
     "olmoe",
     "OlmoeForCausalLM",
     "mlp.gate.weight",
     "mlp.experts.",
     ".gate_proj.weight",
     ".up_proj.weight",
     ".down_proj.weight",
     {nullptr, nullptr, nullptr},
     QkNorm::kWhole,
     Window::kNone,
     "num_experts",
     "intermediate_size",
     0,
     1e4,
     1e-5,
     0.01,
     false},
}};

const ArchitectureInfo* find_by(const char* ArchitectureInfo::*name, std::string_view wanted) {
  const auto found =
      std::find_if(kTable.begin(), kTable.end(), [&](const ArchitectureInfo& info) { return wanted == info.*name; });
  return found == kTable.end() ? nullptr : &*found;
}

}  // namespace

std::span<const ArchitectureInfo> architectures() { return kTable; }

const ArchitectureInfo& info_of(Architecture architecture) {
  const auto found = std::find_if(kTable.begin(), kTable.end(),
                                  [&](const ArchitectureInfo& info) { return info.architecture == architecture; });
  CHECK(found != kTable.end(), "architecture", static_cast<int>(architecture));
  return *found;
}

const ArchitectureInfo* find_architecture(std::string_view model_type) {
  return find_by(&ArchitectureInfo::model_type, model_type);
}

const ArchitectureInfo* find_class(std::string_view class_name) {
  return find_by(&ArchitectureInfo::class_name, class_name);
}

}  // namespace regroup
