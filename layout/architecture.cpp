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
     "num_local_experts",
     "intermediate_size",
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
     "num_experts",
     "moe_intermediate_size",
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
     "num_experts",
     "intermediate_size",
     1e4,
     1e-5,
     0.01,
     false},
}};

}  // namespace

std::span<const ArchitectureInfo> architectures() { return kTable; }

const ArchitectureInfo& info_of(Architecture architecture) {
  const auto found = std::find_if(kTable.begin(), kTable.end(),
                                  [&](const ArchitectureInfo& info) { return info.architecture == architecture; });
  CHECK(found != kTable.end(), "architecture", static_cast<int>(architecture));
  return *found;
}

const ArchitectureInfo* find_architecture(std::string_view model_type) {
  const auto found = std::find_if(kTable.begin(), kTable.end(),
                                  [&](const ArchitectureInfo& info) { return model_type == info.model_type; });
  return found == kTable.end() ? nullptr : &*found;
}

}  // namespace regroup
