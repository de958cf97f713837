#include "moe/step/weights_digest.hpp"

#include "base/digest.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/state/tags.hpp"

#include <algorithm>
#include <span>
#include <sstream>
#include <utility>

namespace regroup {

std::vector<std::string> WeightsDigest::make(Step step, DenseGather* step_gather) {
  const Step tag_step(step.value + 1);
  const std::string mine = view_.group_index < 0 ? std::string() : of_own_group(tag_step, *step_gather);
  const auto all = must(all_gather_v(mesh_, view_.member_ranks(), make_tag(tag_step, TransferOp::kGroupDigest),
                                     std::as_bytes(std::span(mine.data(), mine.size()))));
  std::vector<std::string> digests;
  for (const Group& group : view_.plan.placement.groups) {
    const auto& said = all[static_cast<std::size_t>(group.ranks.front().value)];
    digests.emplace_back(reinterpret_cast<const char*>(said.data()), said.size());
  }
  return digests;
}

std::string WeightsDigest::of_own_group(Step tag_step, DenseGather& step_gather) {
  std::vector<std::string> lines;
  const auto add_lines = [&](const Unit& u, const float* flat) {
    for (const TensorSpec& tensor : u.tensors)
      lines.push_back(tensor_line(tensor.name, tensor.shape, flat + tensor.offset));
  };
  // In fp32, whatever is computed in.
  if (view_.job->spec.precision != Precision::kFp32) {
    flat_forms_ = compute_forms(view_.job->units, Precision::kFp32);
    flat_gather_.emplace(view_, mesh_, store_, flat_forms_);
  }
  DenseGather& gather = flat_gather_ ? *flat_gather_ : step_gather;
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
  return weights_digest(gather_lines(tag_step, lines));
}

std::vector<std::string> WeightsDigest::gather_lines(Step tag_step, const std::vector<std::string>& mine) const {
  std::string text;
  for (const std::string& line : mine) text += line + "\n";
  std::vector<Rank> ranks = view_.group().ranks;
  std::sort(ranks.begin(), ranks.end());
  std::vector<std::string> lines;
  for (const auto& bytes : must(all_gather_v(mesh_, ranks, make_tag(tag_step, TransferOp::kDigest),
                                             std::as_bytes(std::span(text.data(), text.size())), mesh::Lane::kBulk))) {
    std::istringstream said(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    for (std::string line; std::getline(said, line);) lines.push_back(line);
  }
  return lines;
}

}  // namespace regroup
