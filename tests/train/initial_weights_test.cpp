// A fresh job that starts from a model directory: the same bits on every layout, and nothing but the weights that it was submitted with. The directory is one of our own
// checkpoints: every checkpoint is such a directory. What transformers writes is read in tests/oracle.
#include "checkpoint/io/foreign_weights.hpp"
#include "checkpoint/io/save.hpp"
#include "tests/train/cluster.hpp"

#include <gtest/gtest.h>

#include <filesystem>

namespace regroup::testing {
namespace {

class InitialWeights : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/regroup-initial-XXXXXX";
    directory_ = mkdtemp(pattern);
    write_data(directory_ + "/data", 96);
    job_ = tiny_job(directory_ + "/data");
    Cluster cluster(job_, 1, new_directory());
    digest_ = cluster.train(make_placement(job_, {1}), {0}, 1);
    SaveRequest save;
    save.root = directory_ + "/checkpoints";
    save.info = {job_.name, Epoch(1), Step(1), job_.seed, job_.model, "", "", 100'000};
    for (const auto& [key, shard] : cluster.store(0).all()) save.entries.push_back({shard->unit, shard->blocks, reinterpret_cast<const std::byte*>(shard->state.data())});
    ASSERT_TRUE(write_part(save));
    job_.initial_weights = commit(save, std::chrono::seconds(10))->directory;
    job_.initial_digest = (*ForeignWeights::open(job_.initial_weights, job_.model))->digest().value();
    job_.seed = 99;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string new_directory() {
    const std::string path = directory_ + "/c" + std::to_string(++count_);
    std::filesystem::create_directory(path);
    return path;
  }
  std::string train(const JobSpec& job, const std::vector<int>& groups, std::int64_t until) {
    std::vector<int> members;
    for (const int size : groups)
      for (int i = 0; i < size; ++i) members.push_back(static_cast<int>(members.size()));
    Cluster cluster(job, static_cast<int>(members.size()), new_directory());
    return cluster.train(make_placement(job, groups, 1, true), members, until);
  }

  std::string directory_, digest_;
  JobSpec job_;
  int count_ = 0;
};

TEST_F(InitialWeights, are_the_directorys_on_every_layout) {
  EXPECT_EQ(job_.initial_digest, digest_) << "what the command line reads is what a worker has";
  for (const std::vector<int>& groups : {std::vector<int>{1}, {3}, {2, 1}, {5}}) EXPECT_EQ(train(job_, groups, 0), digest_);
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
  EXPECT_NE(said.find("initial weights: "), std::string::npos) << said;
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
