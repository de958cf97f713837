#include "moe/step/weights_digest.hpp"

#include "base/digest.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/state/tags.hpp"

#include <span>
#include <utility>

namespace regroup {

std::string WeightsDigest::make(Step step, DenseGather* step_gather) {
  const Step tag_step(step.value + 1);
  std::vector<std::string> lines;
  const auto add_lines = [&](const Unit& u, const float* flat) {
    for (const TensorSpec& tensor : u.tensors)
      lines.push_back(tensor_line(tensor.name, tensor.shape, flat + tensor.offset));
  };
  if (view_.group_index == 0) {
    // In fp32, whatever is computed in.
    if (view_.job->spec.precision != Precision::kFp32) {
      flat_forms_ = compute_forms(view_.job->units, Precision::kFp32);
      flat_gather_.emplace(view_, mesh_, store_, flat_forms_);
    }
    DenseGather& gather = flat_gather_ ? *flat_gather_ : *step_gather;
    gather.begin(tag_step);
    for (const Unit& u : view_.job->units) {
      if (u.is_expert()) continue;
      const auto* flat = reinterpret_cast<const float*>(gather.weights(u.index));
      if (view_.member == 0) add_lines(u, flat);
    }
    gather.end();
    flat_gather_.reset();
    whole_experts_.emplace(view_, mesh_, store_);
    for (std::string& line : whole_experts_->digest_lines(tag_step)) lines.push_back(std::move(line));
    whole_experts_.reset();
  }
  std::string mine;
  for (const std::string& line : lines) mine += line + "\n";
  const auto all = must(all_gather_v(mesh_, view_.member_ranks(), make_tag(tag_step, TransferOp::kDigest),
                                     std::as_bytes(std::span(mine.data(), mine.size())), mesh::Lane::kBulk));
  lines.clear();
  for (const auto& bytes : all) {
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at);
      lines.push_back(text.substr(at, end - at));
      at = end + 1;
    }
  }
  return weights_digest(lines);
}

}  // namespace regroup
