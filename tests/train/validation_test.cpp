// Validation: the same bits on every layout and after every disturbance, and no bit of the training changes.
#include "tests/train/on_tiny_job.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace regroup::testing {
namespace {

class Validation : public OnTinyJob<::testing::TestWithParam<Precision>> {
 protected:
  void SetUp() override {
    std::filesystem::copy_file(directory_ + "/data.idx", directory_ + "/held.idx");
    std::ifstream in(directory_ + "/data.bin", std::ios::binary);
    std::vector<std::uint16_t> tokens(20000);
    in.read(reinterpret_cast<char*>(tokens.data()), static_cast<std::streamsize>(tokens.size() * 2));
    for (std::size_t i = 0; i < tokens.size(); i += 3) tokens[i] = static_cast<std::uint16_t>((tokens[i] + 1) % 96);
    std::ofstream(directory_ + "/held.bin", std::ios::binary)
        .write(reinterpret_cast<const char*>(tokens.data()), static_cast<std::streamsize>(tokens.size() * 2));
    job_.precision = GetParam();
    if (job_.precision == Precision::kFp32) job_.model.router_jitter_noise = 0.1;
    job_.validation = {directory_ + "/held", "", 2, 5};
  }
};

INSTANTIATE_TEST_SUITE_P(Precisions, Validation, ::testing::Values(Precision::kFp32, Precision::kBf16), precision_name);

TEST_P(Validation, has_the_same_bits_on_one_to_seven_workers_and_changes_none_of_the_training) {
  Cluster alone(job_, 1, new_directory());
  const std::string digest = alone.train(make_placement(job_, {1}), {0}, 4);
  ASSERT_EQ(alone.validations().size(), 2u) << digest;
  EXPECT_EQ(alone.validations()[0].step, 2);
  EXPECT_EQ(alone.validations()[1].step, 4);
  EXPECT_EQ(alone.validations()[1].targets, 5 * 2 * 24);
  EXPECT_GT(alone.validations()[0].loss(), 0);
  EXPECT_NE(alone.validations()[0].loss_sum, alone.validations()[1].loss_sum);
  JobSpec without = job_;
  without.validation = {};
  EXPECT_EQ(Cluster(without, 1, new_directory()).train(make_placement(job_, {1}), {0}, 4), digest);
  const std::vector<std::vector<int>> layouts = {{2}, {3}, {7}, {1, 1}, {2, 1}, {4, 3}, {2, 2, 1}, {1, 1, 1, 1}};
  for (std::size_t i = 0; i < layouts.size(); ++i) {
    int workers = 0;
    for (const int size : layouts[i]) workers += size;
    Cluster cluster(job_, workers, new_directory());
    EXPECT_EQ(cluster.train(make_placement(job_, layouts[i], static_cast<int>(i), i % 2 == 1), first(workers), 4),
              digest)
        << "layout " << i;
    EXPECT_EQ(cluster.validations(), alone.validations()) << "layout " << i;
  }
}

// What it computes beside plain experts and one document: slices wherever they lie, and an attention that ends at each
// document.
TEST_P(Validation, in_slices_and_within_documents_has_the_same_bits_on_every_layout) {
  job_.model.expert_slices = 4;
  Cluster together(job_, 1, new_directory());
  together.train(make_placement(job_, {1}), {0}, 2);
  write_data(directory_ + "/data", 96, 9);
  std::filesystem::copy_file(directory_ + "/data.idx", directory_ + "/held.idx",
                             std::filesystem::copy_options::overwrite_existing);
  job_.separate_documents = true;
  Cluster alone(job_, 1, new_directory());
  const std::string digest = alone.train(make_placement(job_, {1}), {0}, 4);
  ASSERT_EQ(alone.validations().size(), 2u) << digest;
  EXPECT_NE(alone.validations()[0].loss_sum, together.validations()[0].loss_sum);  // the documents are seen
  const std::vector<std::vector<int>> layouts = {{3}, {7}, {2, 1}, {2, 2, 1}};
  for (std::size_t i = 0; i < layouts.size(); ++i) {
    Cluster cluster(job_, sum(layouts[i]), new_directory());
    EXPECT_EQ(
        cluster.train(make_placement(job_, layouts[i], static_cast<int>(i), i % 2 == 1), first(sum(layouts[i])), 4),
        digest)
        << "layout " << i;
    EXPECT_EQ(cluster.validations(), alone.validations()) << "layout " << i;
  }
}

TEST_P(Validation, a_regroup_between_validation_and_the_next_step_does_not_repeat_it) {
  Cluster alone(job_, 1, new_directory());
  const std::string digest = alone.train(make_placement(job_, {1}), {0}, 4);
  Cluster cluster(job_, 3, new_directory());
  cluster.train(make_placement(job_, {1}), {0}, 2);
  ASSERT_EQ(cluster.validations().size(), 1u);
  EXPECT_EQ(cluster.train(make_placement(job_, {2}), {1, 2}, 4, {0}), digest);  // newcomers hear of it
  ASSERT_EQ(cluster.validations().size(), 3u);                                  // another rank 0 heard of the first
  EXPECT_EQ(cluster.validations()[0], alone.validations()[0]);
  EXPECT_EQ(cluster.validations()[1], alone.validations()[0]);
  EXPECT_EQ(cluster.validations()[2], alone.validations()[1]);
}

TEST_P(Validation, a_worker_that_dies_in_the_middle_of_it_changes_nothing) {
  Cluster alone(job_, 1, new_directory());
  const std::string digest = alone.train(make_placement(job_, {1}), {0}, 4);
  for (const int after_operators : {0, 3, 9}) {
    Cluster cluster(job_, 4, new_directory());
    cluster.die_in_validation(2, 2, after_operators);
    EXPECT_NE(cluster.train(make_placement(job_, {2, 2}), {0, 1, 2, 3}, 4), digest);
    EXPECT_TRUE(cluster.validations().empty());
    EXPECT_EQ(cluster.train(make_placement(job_, {2, 1}, 1), {0, 1, 3}, 4), digest);
    EXPECT_EQ(cluster.validations(), alone.validations()) << after_operators;
  }
}

}  // namespace
}  // namespace regroup::testing
