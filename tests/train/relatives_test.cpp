// The claim, for what Qwen3-MoE and OLMoE add: norms of queries and keys, routing weights that are not divided by their sum, layers without experts.
#include "tests/train/cluster.hpp"

#include <gtest/gtest.h>

#include <filesystem>

namespace regroup::testing {
namespace {

void expect_one_digest(const JobSpec& job, const std::string& directory) {
  std::string expected;
  int count = 0;
  for (const std::vector<int>& groups : {std::vector<int>{1}, {3}, {2, 1}, {2, 2}, {7}}) {
    std::vector<int> members;
    for (const int size : groups)
      for (int i = 0; i < size; ++i) members.push_back(static_cast<int>(members.size()));
    const std::string own = directory + "/" + std::to_string(count++);
    std::filesystem::create_directory(own);
    const std::string digest = Cluster(job, static_cast<int>(members.size()), own).train(make_placement(job, groups, 1, true), members, 2);
    ASSERT_EQ(digest.size(), 64u) << digest;
    if (expected.empty()) expected = digest;
    EXPECT_EQ(digest, expected) << groups.size() << " groups, " << members.size() << " workers";
  }
}

class Relatives : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/regroup-relatives-XXXXXX";
    directory_ = mkdtemp(pattern);
    write_data(directory_ + "/data", 96);
    job_ = tiny_job(directory_ + "/data");
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string directory_;
  JobSpec job_;
};

TEST_F(Relatives, qwen3_with_layers_without_experts_gives_one_digest) {
  job_.model.architecture = Architecture::kQwen3Moe;
  job_.model.num_hidden_layers = 4;
  job_.model.dense_layers = {0, 2};
  job_.model.dense_intermediate_size = 80;
  expect_one_digest(job_, directory_);
}

TEST_F(Relatives, olmoe_gives_one_digest) {
  job_.model.architecture = Architecture::kOlmoe;
  job_.model.norm_topk_prob = false;
  expect_one_digest(job_, directory_);
}

TEST_F(Relatives, sizes_that_are_no_multiple_of_a_vector_give_one_digest) {
  job_.model.hidden_size = 42;   // segments of rows start anywhere
  job_.model.intermediate_size = 58;
  job_.model.head_dim = 6;
  job_.model.vocab_size = 101;
  expect_one_digest(job_, directory_);
}

}  // namespace
}  // namespace regroup::testing
