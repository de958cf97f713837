#include "moe/ops/router.hpp"

#include "moe/ops/gemm.hpp"
#include "moe/ops/kernels.hpp"
#include "moe/ops/typed.hpp"

#include <ATen/ops/empty.h>

#include <numeric>

namespace regroup::ops {

namespace {

at::Tensor empty_ids(at::IntArrayRef sizes) { return at::empty(sizes, at::TensorOptions().dtype(at::kLong)); }

// Rows are numbered by (expert, token): a counting sort.
void number_rows(Routing& routing, std::int64_t num_experts) {
  const std::int64_t n = routing.expert.size(0);
  const std::int64_t k = routing.expert.size(1);
  const std::int64_t* expert = routing.expert.data_ptr<std::int64_t>();
  routing.counts.assign(static_cast<std::size_t>(num_experts), 0);
  for (std::int64_t i = 0; i < n * k; ++i) ++routing.counts[static_cast<std::size_t>(expert[i])];
  std::vector<std::int64_t> next(routing.counts.size());
  std::exclusive_scan(routing.counts.begin(), routing.counts.end(), next.begin(), std::int64_t{0});
  routing.token_row = empty_ids({n, k});
  routing.row_token = empty_ids({n * k});
  std::int64_t* token_row = routing.token_row.data_ptr<std::int64_t>();
  std::int64_t* row_token = routing.row_token.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < n * k; ++i) {
    token_row[i] = next[static_cast<std::size_t>(expert[i])]++;
    row_token[token_row[i]] = i / k;
  }
}

}  // namespace

std::int64_t Routing::rows() const { return row_token.numel(); }

std::int64_t Routing::first_row(int expert_id) const {
  return std::accumulate(counts.begin(), counts.begin() + expert_id, std::int64_t{0});
}

void AuxStats::add(const RouterSaved& saved, const Routing& routing) {
  const std::int64_t n = saved.probs.size(0);
  const std::int64_t e = saved.probs.size(1);
  prob_sum.resize(static_cast<std::size_t>(e));
  counts.resize(static_cast<std::size_t>(e));
  const float* p = saved.probs.data_ptr<float>();
  for (std::int64_t row = 0; row < n; ++row)
    for (std::int64_t j = 0; j < e; ++j) prob_sum[static_cast<std::size_t>(j)] += static_cast<double>(p[row * e + j]);
  for (std::size_t j = 0; j < counts.size(); ++j) counts[j] += routing.counts[j];
  tokens += n;
  const float* lse = saved.lse.data_ptr<float>();
  double squares = 0;
  for (std::int64_t row = 0; row < n; ++row) squares += static_cast<double>(lse[row]) * static_cast<double>(lse[row]);
  z_loss += squares / static_cast<double>(n);
}

double AuxStats::loss() const {
  if (tokens == 0) return 0;
  double sum = 0;
  const double n = static_cast<double>(tokens);
  for (std::size_t j = 0; j < counts.size(); ++j) sum += static_cast<double>(counts[j]) / n * (prob_sum[j] / n);
  return sum * static_cast<double>(counts.size());
}

std::vector<float> aux_gradient(const AuxStats& stats, double coef, std::int64_t num_targets) {
  std::vector<float> gradient(stats.counts.size());
  const double n = static_cast<double>(stats.tokens);
  for (std::size_t j = 0; j < gradient.size(); ++j)
    gradient[j] = static_cast<float>(coef * static_cast<double>(num_targets) * static_cast<double>(gradient.size()) *
                                     (static_cast<double>(stats.counts[j]) / n) / n);
  return gradient;
}

float z_gradient(double coef, std::int64_t num_targets, std::int64_t tokens) {
  return static_cast<float>(2 * coef * static_cast<double>(num_targets) / static_cast<double>(tokens));
}

Routing router_forward(const DenseWeights& weights, const at::Tensor& x, const Dims& dims, RouterSaved& saved,
                       const Jitter& noise) {
  const std::int64_t n = x.size(0);
  const std::int64_t h = x.size(1);
  const std::int64_t e = dims.shape.num_local_experts;
  const std::int64_t k = dims.shape.num_experts_per_tok;
  Routing routing;
  routing.normed = empty({n, h}, x.scalar_type());
  saved.x = x;
  saved.rstd = empty({n});
  saved.probs = empty({n, e});
  saved.lse = empty({n});
  saved.jitter = noise;
  saved.norm_topk_prob = dims.shape.norm_topk_prob;
  by_type(x, [&]<class T>() {
    rms_norm_rows(data<T>(x), data<float>(weights.post_norm), data<T>(routing.normed), data<float>(saved.rstd), n, h,
                  static_cast<float>(dims.shape.rms_norm_eps));
    jitter(noise, data<T>(routing.normed), n * h);
  });
  const at::Tensor logits = empty({n, e});
  multiply(logits, as_float(routing.normed), weights.gate.t());
  softmax_rows(logits.data_ptr<float>(), saved.probs.data_ptr<float>(), saved.lse.data_ptr<float>(), n, e);
  routing.weight = empty({n, k});
  routing.expert = empty_ids({n, k});
  top_k_rows(saved.probs.data_ptr<float>(), routing.expert.data_ptr<std::int64_t>(), routing.weight.data_ptr<float>(),
             n, e, k, dims.shape.norm_topk_prob);
  number_rows(routing, e);
  return routing;
}

at::Tensor dispatch_rows(const Routing& routing) {
  at::Tensor rows = empty({routing.rows(), routing.normed.size(1)}, routing.normed.scalar_type());
  gather_rows(routing.normed.data_ptr(), routing.row_token.data_ptr<std::int64_t>(), rows.data_ptr(), rows.size(0),
              rows.size(1) * static_cast<std::int64_t>(rows.element_size()));
  return rows;
}

at::Tensor combine_forward(const at::Tensor& x, const at::Tensor& y_rows, const Routing& routing) {
  at::Tensor out = empty(x.sizes(), x.scalar_type());
  by_type(x, [&]<class T>() {
    combine_rows(data<T>(x), data<T>(y_rows), routing.token_row.data_ptr<std::int64_t>(), data<float>(routing.weight),
                 data<T>(out), x.size(0), routing.weight.size(1), x.size(1));
  });
  return out;
}

CombineGrad combine_backward(const at::Tensor& dout, const at::Tensor& y_rows, const Routing& routing) {
  CombineGrad grad{empty(y_rows.sizes(), y_rows.scalar_type()), empty(routing.weight.sizes())};
  by_type(dout, [&]<class T>() {
    combine_rows_backward(data<T>(dout), data<T>(y_rows), routing.token_row.data_ptr<std::int64_t>(),
                          data<float>(routing.weight), data<T>(grad.dy_rows), data<float>(grad.dweight), dout.size(0),
                          routing.weight.size(1), dout.size(1));
  });
  return grad;
}

at::Tensor router_backward(const DenseWeights& weights, const at::Tensor& dout, const at::Tensor& dx_rows,
                           const at::Tensor& dweight, const std::vector<float>& aux, float z, RouterSaved& saved,
                           const Routing& routing, DenseWeights& leaf) {
  const std::int64_t n = dout.size(0);
  const std::int64_t h = dout.size(1);
  const std::int64_t e = saved.probs.size(1);
  const std::int64_t k = routing.weight.size(1);
  const at::Tensor dlogits = empty({n, e});
  router_rows_backward(saved.probs.data_ptr<float>(), routing.expert.data_ptr<std::int64_t>(),
                       routing.weight.data_ptr<float>(), dweight.data_ptr<float>(), aux.empty() ? nullptr : aux.data(),
                       dlogits.data_ptr<float>(), n, e, k, saved.norm_topk_prob);
  if (z != 0.0f)
    add_z_rows(saved.probs.data_ptr<float>(), saved.lse.data_ptr<float>(), z, dlogits.data_ptr<float>(), n, e);
  multiply(leaf.gate, dlogits.t(), as_float(routing.normed));
  const at::Tensor dnormed = empty({n, h});
  multiply(dnormed, dlogits, weights.gate);
  at::Tensor dx = dout.scalar_type() == at::kFloat ? dnormed : empty({n, h}, dout.scalar_type());
  by_type(dout, [&]<class T>() {
    combine_rows(data<float>(dnormed), data<T>(dx_rows), routing.token_row.data_ptr<std::int64_t>(), nullptr,
                 data<float>(dnormed), n, k, h);
    jitter(saved.jitter, data<float>(dnormed), n * h);
    rms_norm_rows_backward(data<float>(dnormed), data<T>(saved.x), data<float>(weights.post_norm),
                           data<float>(saved.rstd), data<T>(dout), data<T>(dx), data<float>(leaf.post_norm), n, h);
  });
  saved = {};
  return dx;
}

}  // namespace regroup::ops
