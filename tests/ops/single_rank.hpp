// single_rank.hpp: the operators put together to a whole model on one rank, in the plainest way: what a microbatch
// computes, without any exchange.
#pragma once

#include "moe/ops/head.hpp"
#include "moe/ops/router.hpp"
#include "moe/ops/weights.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace regroup::ops {

// One unit's flat fp32 buffer, zeroed, starting `offset` x 64 bytes into a page.
class Flat {
 public:
  explicit Flat(std::int64_t numel, int offset = 0);
  [[nodiscard]] float* data() const { return data_; }
  [[nodiscard]] std::int64_t numel() const { return numel_; }

 private:
  std::unique_ptr<float, void (*)(void*)> memory_;
  float* data_;
  std::int64_t numel_;
};

struct SingleRank {
  explicit SingleRank(const Dims& dims, std::uint64_t seed = 1, int offset = 0);

  struct Loss {
    double cross_entropy = 0;  // sum
    double aux = 0;            // the Hugging Face number, before the coefficient
    std::int64_t num_targets = 0;
    double z = 0;  // the routers' z-loss, before the coefficient
  };
  // Adds the gradient of cross_entropy + (coef * aux + z_coef * z) * num_targets to `gradients`. `lap(name)` is called
  // after each operator.
  Loss microbatch(
      const at::Tensor& tokens, const at::Tensor& targets,
      const std::function<void(const char*)>& lap = [](const char*) {});
  void clear_gradients();
  // Of `weights` or `gradients`: the Hugging Face tensors, copied.
  [[nodiscard]] std::map<std::string, at::Tensor> named(const std::vector<Flat>& flats) const;

  // Where unit i's weights lie as they are computed with: in bf16 made from `weights` by round_weights(), which
  // microbatch() calls.
  [[nodiscard]] std::byte* computed(std::size_t i) const;
  void round_weights();

  Dims dims;
  std::vector<Unit> units;
  std::vector<ComputeForm> forms;
  std::vector<Flat> weights;
  std::vector<Flat> rounded;  // bf16 only
  std::vector<Flat> gradients;
  std::vector<Flat> leaves;       // of units that are not experts
  std::vector<Routing> routings;  // of the last microbatch, a layer each
  double z_coef = 0;
  std::uint64_t seed = 1;               // of the jitter, at step 1, microbatch 0
  std::vector<std::int64_t> documents;  // as attention_forward wants them
  bool keep_final = false;
  at::Tensor final_hidden;  // [N, hidden] of the last microbatch, before the head's norm; if keep_final
};

// tokens and next-token targets of a random microbatch, int64 [N] each; the last target of each sequence is -1.
struct Batch {
  at::Tensor tokens;
  at::Tensor targets;
};
Batch random_batch(const Dims& dims, std::uint64_t seed);

// fp32 [sizes], normal with that deviation; the same for the same purpose and seed.
at::Tensor random_tensor(at::IntArrayRef sizes, std::string_view purpose, double deviation = 1.0,
                         std::uint64_t seed = 1);

// A small shape with everything in it that differs from everything else.
Dims small_dims();

}  // namespace regroup::ops
