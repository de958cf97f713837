#include "tests/ops/reference.hpp"

#include <ATen/ATen.h>

namespace regroup::ops {

at::Tensor leaf64(const at::Tensor& x) { return x.to(at::kDouble).clone().set_requires_grad(true); }

double distance(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor wanted = b.detach().to(at::kDouble);
  const double norm = wanted.norm().item<double>();
  const double difference = (a.detach().to(at::kDouble).view_as(wanted) - wanted).norm().item<double>();
  return norm > 0 ? difference / norm : difference;
}

void backward_with(const at::Tensor& a, const at::Tensor& gradient) {
  (a * gradient.to(at::kDouble).view_as(a)).sum().backward();
}

Reference::Reference(const SingleRank& model) : dims(model.dims), z_coef(model.z_coef) {
  for (const auto& [name, tensor] : model.named(model.weights)) weights[name] = leaf64(tensor);
}

const at::Tensor& Reference::of(int layer, const std::string& name) const {
  return weights.at("model.layers." + std::to_string(layer) + "." + name);
}

at::Tensor Reference::rms_norm(const at::Tensor& x, const at::Tensor& weight) const {
  return weight * (x * at::rsqrt(x.pow(2).mean(-1, true) + dims.shape.rms_norm_eps));
}

at::Tensor Reference::hidden_keys() const {
  const std::int64_t t = dims.sequence_length;
  const at::Tensor row = at::arange(t).unsqueeze(1), column = at::arange(t).unsqueeze(0);
  const at::Tensor hidden = (column > row).logical_or(column <= row - dims.shape.sliding_window.value_or(t));
  std::vector<at::Tensor> numbers;  // which document each token is of
  for (std::size_t i = 0; i < documents.size(); ++i)
    numbers.push_back(at::full({documents[i]}, static_cast<std::int64_t>(i), at::kLong));
  const at::Tensor of =
      numbers.empty() ? at::zeros({dims.sequences, t}, at::kLong) : at::cat(numbers).view({dims.sequences, t});
  return (of.unsqueeze(2) != of.unsqueeze(1)).logical_or(hidden).unsqueeze(1);
}

at::Tensor Reference::attention(int layer, const at::Tensor& x) const {
  const ModelShape& m = dims.shape;
  const std::int64_t b = dims.sequences, t = dims.sequence_length, d = m.head_dim;
  const at::Tensor normed = rms_norm(x, of(layer, "input_layernorm.weight"));
  const auto split = [&](const char* name, std::int64_t heads) {
    return at::matmul(normed, of(layer, std::string("self_attn.") + name + "_proj.weight").t())
        .view({b, t, heads, d})
        .transpose(1, 2);
  };
  const at::Tensor frequency = at::pow(m.rope_theta, -at::arange(0, d, 2, at::kDouble) / static_cast<double>(d));
  const at::Tensor half = at::outer(at::arange(t, at::kDouble), frequency);
  const at::Tensor angle = at::cat({half, half}, -1);
  const auto turn = [&](const at::Tensor& v) {
    const at::Tensor rotated = at::cat({-v.narrow(-1, d / 2, d / 2), v.narrow(-1, 0, d / 2)}, -1);
    return v * angle.cos() + rotated * angle.sin();
  };
  const std::int64_t share = m.num_attention_heads / m.num_key_value_heads;
  const at::Tensor q = turn(split("q", m.num_attention_heads));
  const at::Tensor k = turn(split("k", m.num_key_value_heads)).repeat_interleave(share, 1);
  const at::Tensor v = split("v", m.num_key_value_heads).repeat_interleave(share, 1);
  const at::Tensor scores =
      (at::matmul(q, k.transpose(2, 3)) / std::sqrt(static_cast<double>(d))).masked_fill(hidden_keys(), -INFINITY);
  const at::Tensor context =
      at::matmul(scores.softmax(-1), v).transpose(1, 2).reshape({b * t, m.num_attention_heads * d});
  return x + at::matmul(context, of(layer, "self_attn.o_proj.weight").t());
}

Reference::Moe Reference::moe(int layer, const at::Tensor& x) const {
  const ModelShape& m = dims.shape;
  const at::Tensor normed = rms_norm(x, of(layer, "post_attention_layernorm.weight"));
  Moe result;
  result.logits = at::matmul(normed, of(layer, "block_sparse_moe.gate.weight").t());
  result.probs = result.logits.softmax(-1);
  result.picks = given_picks.empty() ? std::get<1>(result.probs.topk(m.num_experts_per_tok, -1))
                                     : given_picks[static_cast<std::size_t>(layer)];
  const at::Tensor top = result.probs.gather(-1, result.picks);
  const at::Tensor weight = top / top.sum(-1, true);
  result.out = x;
  for (std::int64_t e = 0; e < m.num_local_experts; ++e) {
    const std::string prefix = "block_sparse_moe.experts." + std::to_string(e) + ".";
    const at::Tensor share = (weight * (result.picks == e)).sum(-1, true);
    const at::Tensor gate = at::matmul(normed, of(layer, prefix + "w1.weight").t());
    const at::Tensor up = at::matmul(normed, of(layer, prefix + "w3.weight").t());
    result.out = result.out + share * at::matmul(at::silu(gate) * up, of(layer, prefix + "w2.weight").t());
  }
  return result;
}

at::Tensor Reference::cross_entropy_sum(const at::Tensor& x, const at::Tensor& targets) const {
  const at::Tensor& table =
      dims.shape.tie_word_embeddings ? weights.at("model.embed_tokens.weight") : weights.at("lm_head.weight");
  const at::Tensor logits = at::matmul(rms_norm(x, weights.at("model.norm.weight")), table.t());
  return at::nll_loss(logits.log_softmax(-1), targets, {}, at::Reduction::Sum, -1);
}

at::Tensor Reference::aux(const std::vector<Moe>& layers) const {
  std::vector<at::Tensor> probs, picks;
  for (const Moe& layer : layers) {
    probs.push_back(layer.probs);
    picks.push_back(layer.picks);
  }
  const std::int64_t e = dims.shape.num_local_experts;
  const at::Tensor rows = at::one_hot(at::cat(picks), e).to(at::kDouble).mean(0);  // [K, E]
  return (rows * at::cat(probs).mean(0).unsqueeze(0)).sum() * e;
}

Reference::Objective Reference::objective(const Batch& batch) const {
  at::Tensor x = weights.at("model.embed_tokens.weight").index_select(0, batch.tokens);
  std::vector<Moe> layers;
  for (int layer = 0; layer < dims.shape.num_hidden_layers; ++layer) {
    layers.push_back(moe(layer, attention(layer, x)));
    x = layers.back().out;
  }
  Objective result{cross_entropy_sum(x, batch.targets), aux(layers), {}, at::zeros({}, at::kDouble)};
  for (const Moe& layer : layers) result.z = result.z + layer.logits.logsumexp({-1}).square().mean();
  result.total = result.cross_entropy +
                 (dims.shape.router_aux_loss_coef * result.aux + z_coef * result.z) * (batch.targets >= 0).sum();
  return result;
}

}  // namespace regroup::ops
