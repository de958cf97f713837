// A fresh job that starts from a model directory: the same bits on every layout, and nothing but the weights that it
// was submitted with. The directory is one of our own checkpoints: every checkpoint is such a directory. What
// transformers writes is read in tests/oracle.
#include "checkpoint/io/foreign_weights.hpp"
#include "checkpoint/io/save.hpp"
#include "tests/train/on_tiny_job.hpp"

#include <gtest/gtest.h>

#include <filesystem>

namespace regroup::testing {
namespace {

class InitialWeights : public OnTinyJob<> {
 protected:
  void SetUp() override {
    Cluster cluster(job_, 1, new_directory());
    digest_ = cluster.train(make_placement(job_, {1}), {0}, 1);
    checkpoint::SaveRequest save;
    save.root = directory_ + "/checkpoints";
    save.info = {job_.name, Epoch(1), Step(1), job_.seed, job_.model, "", "", 100'000};
    for (const auto& [key, shard] : cluster.store(0).all())
      save.entries.push_back({shard->unit, shard->blocks, reinterpret_cast<const std::byte*>(shard->state.data())});
    ASSERT_TRUE(checkpoint::write_part(save));
    job_.initial_weights = commit(save, std::chrono::seconds(10))->directory;
    job_.initial_digest = (*checkpoint::ForeignWeights::open(job_.initial_weights, job_.model))->digest().value();
    job_.seed = 99;
  }
  std::string train(const JobSpec& job, const std::vector<int>& groups, std::int64_t until) {
    Cluster cluster(job, sum(groups), new_directory());
    return cluster.train(make_placement(job, groups, 1, true), first(sum(groups)), until);
  }

  std::string digest_;
};

TEST_F(InitialWeights, are_the_directorys_on_every_layout) {
  EXPECT_EQ(job_.initial_digest, digest_) << "what the command line reads is what a worker has";
  for (const std::vector<int>& groups : {std::vector<int>{1}, {3}, {2, 1}, {5}})
    EXPECT_EQ(train(job_, groups, 0), digest_);
  const std::string expected = train(job_, {1}, 2);
  ASSERT_EQ(expected.size(), 64u) << expected;
  for (const std::vector<int>& groups : {std::vector<int>{3}, {2, 2}}) EXPECT_EQ(train(job_, groups, 2), expected);
}

// The masters are the directory's, whatever is computed in.
TEST_F(InitialWeights, are_the_directorys_in_bf16) {
  job_.precision = Precision::kBf16;
  for (const std::vector<int>& groups : {std::vector<int>{1}, {2, 1}}) EXPECT_EQ(train(job_, groups, 0), digest_);
  const std::string expected = train(job_, {1}, 2);
  ASSERT_EQ(expected.size(), 64u) << expected;
  EXPECT_EQ(train(job_, {2, 1}, 2), expected);
}

TEST_F(InitialWeights, that_are_not_those_of_the_submission_are_refused_by_every_worker) {
  job_.initial_digest[0] = job_.initial_digest[0] == '0' ? '1' : '0';
  const std::string said = train(job_, {2, 1}, 1);
  EXPECT_NE(said.find("are not those that the job was submitted with"), std::string::npos) << said;
  EXPECT_NE(said.find(job_.initial_weights), std::string::npos) << said;
}

TEST_F(InitialWeights, that_cannot_be_read_leave_nobody_waiting) {
  job_.initial_weights += "/absent";
  const std::string said = train(job_, {3}, 1);
  EXPECT_NE(said.find("initial weights on node "), std::string::npos) << said;
}

TEST_F(InitialWeights, router_jitter_gives_one_digest_on_every_layout) {
  job_.model.router_jitter_noise = 0.1;
  const std::string expected = train(job_, {1}, 2);
  ASSERT_EQ(expected.size(), 64u) << expected;
  for (const std::vector<int>& groups : {std::vector<int>{3}, {2, 1}}) EXPECT_EQ(train(job_, groups, 2), expected);
  job_.model.router_jitter_noise = 0;
  EXPECT_NE(train(job_, {1}, 2), expected);
}

}  // namespace
}  // namespace regroup::testing
