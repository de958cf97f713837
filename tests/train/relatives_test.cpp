// The claim, for what Qwen3-MoE and OLMoE add: norms of queries and keys, routing weights that are not divided by their
// sum, layers without experts.
#include "tests/train/on_tiny_job.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace regroup::testing {
namespace {

class Relatives : public OnTinyJob<> {
 protected:
  std::string digest_of(const JobSpec& job, const std::vector<int>& groups) {
    return Cluster(job, sum(groups), new_directory())
        .train(make_placement(job, groups, 1, true), first(sum(groups)), 2);
  }
  // On every layout, and whatever is recomputed; another one in each precision.
  void expect_one_digest(JobSpec job) {
    std::string before;
    for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
      job.precision = precision;
      job.recompute = Recompute::kNone;
      const std::string expected = digest_of(job, {1});
      ASSERT_EQ(expected.size(), 64u) << expected;
      EXPECT_NE(expected, before);
      before = expected;
      for (const std::vector<int>& groups : {std::vector<int>{3}, {2, 2}, {7}})
        EXPECT_EQ(digest_of(job, groups), expected) << groups.size() << " groups, the first of " << groups.front()
                                                    << ", precision " << static_cast<int>(precision);
      for (const Recompute recompute : {Recompute::kExperts, Recompute::kFull}) {
        job.recompute = recompute;
        EXPECT_EQ(digest_of(job, {2, 1}), expected)
            << "recompute " << static_cast<int>(recompute) << ", precision " << static_cast<int>(precision);
      }
    }
  }
};

TEST_F(Relatives, qwen3_with_layers_without_experts_gives_one_digest) {
  job_.model.architecture = Architecture::kQwen3Moe;
  job_.model.num_hidden_layers = 4;
  job_.model.dense_layers = {0, 2};
  job_.model.dense_intermediate_size = 80;
  expect_one_digest(job_);
}

TEST_F(Relatives, olmoe_gives_one_digest) {
  job_.model.architecture = Architecture::kOlmoe;
  job_.model.norm_topk_prob = false;
  expect_one_digest(job_);
}

// The repeated forward of a layer has the numbers of its first one: the same jitter.
TEST_F(Relatives, router_jitter_gives_one_digest) {
  job_.model.router_jitter_noise = 0.1;
  expect_one_digest(job_);
}

TEST_F(Relatives, sizes_that_are_no_multiple_of_a_vector_give_one_digest) {
  job_.model.hidden_size = 42;  // segments of rows start anywhere
  job_.model.intermediate_size = 58;
  job_.model.head_dim = 6;
  job_.model.vocab_size = 101;
  expect_one_digest(job_);
}

}  // namespace
}  // namespace regroup::testing
