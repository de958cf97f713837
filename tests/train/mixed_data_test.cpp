// A job over several sets: which sample comes from where depends on the step alone, so layouts and regroups change no
// bit.
#include "tests/train/cluster.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace regroup::testing {
namespace {

TEST(MixedData, layouts_and_regroups_change_no_bit_and_weights_do) {
  char pattern[] = "/tmp/regroup-train-XXXXXX";
  const std::string directory = mkdtemp(pattern);
  write_data(directory + "/a", 96);
  write_data(directory + "/b", 50);
  JobSpec job = training_job("");
  job.data_mix = {{directory + "/a", 3}, {directory + "/b", 1}};
  const auto alone = [&](const JobSpec& of, const std::string& name) {
    std::filesystem::create_directory(directory + "/" + name);
    Cluster cluster(of, 1, directory + "/" + name);
    return cluster.train(make_placement(of, {1}), {0}, 4);
  };
  const std::string expected = alone(job, "one");
  Cluster cluster(job, 4, directory);
  cluster.train(make_placement(job, {2}), {0, 1}, 2);
  EXPECT_EQ(cluster.train(make_placement(job, {2, 1}, 1, true), {3, 1, 2}, 4, {0}), expected);
  JobSpec other = job;
  other.data_mix[0].weight = 1;
  EXPECT_NE(alone(other, "other"), expected);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace regroup::testing
