// reference.hpp: the same model written with LibTorch's autograd in fp64: the oracle of the operators. Follows
// transformers' modelling code.
#pragma once

#include "tests/ops/single_rank.hpp"

#include <map>
#include <string>

namespace regroup::ops {

struct Reference {
  // Takes the weights as fp64 leaves that want gradients.
  explicit Reference(const SingleRank& model);

  [[nodiscard]] at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight) const;
  // x [N, hidden] after "x +".
  [[nodiscard]] at::Tensor attention(int layer, const at::Tensor& x) const;
  // x + experts(norm(x)), and the layer's router probabilities [N, E] and picks [N, K].
  struct Moe {
    at::Tensor out, probs, picks, logits;
  };
  [[nodiscard]] Moe moe(int layer, const at::Tensor& x) const;
  [[nodiscard]] at::Tensor cross_entropy_sum(const at::Tensor& x, const at::Tensor& targets) const;
  // E * sum(mean one-hot * mean probability) over the layers' rows together.
  [[nodiscard]] at::Tensor aux(const std::vector<Moe>& layers) const;

  struct Objective {
    at::Tensor cross_entropy, aux, total, z;
  };
  [[nodiscard]] Objective objective(const Batch& batch) const;

  Dims dims;
  double z_coef = 0;
  std::map<std::string, at::Tensor> weights;
  // [layer] [N, K]: which experts instead of the router's own choice; empty: its own
  std::vector<at::Tensor> given_picks;
  std::vector<std::int64_t> documents;  // tokens of each, in the order of rows; empty: every sequence is one

 private:
  [[nodiscard]] at::Tensor hidden_keys() const;  // [sequences, 1, rows, keys]
  [[nodiscard]] const at::Tensor& of(int layer, const std::string& name) const;
};

// A leaf that wants gradients, fp64.
at::Tensor leaf64(const at::Tensor& x);
// |a - b| / |b| over all elements, in fp64; |a| if b is zero.
double distance(const at::Tensor& a, const at::Tensor& b);
// sum(a * b): a scalar to go backward from, so that b is the gradient that arrives at a.
void backward_with(const at::Tensor& a, const at::Tensor& gradient);

}  // namespace regroup::ops
