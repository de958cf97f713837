// on_tiny_job.hpp: a fixture with a small job, its data, and directories that go with it.
#pragma once

#include "tests/train/cluster.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

namespace regroup::testing {

// Test: ::testing::Test, or a TestWithParam.
template <class Test = ::testing::Test>
class OnTinyJob : public Test {
 protected:
  OnTinyJob() {
    char pattern[] = "/tmp/regroup-train-XXXXXX";
    directory_ = mkdtemp(pattern);
    write_data(directory_ + "/data", 96);
    job_ = training_job(directory_ + "/data");
  }
  ~OnTinyJob() override { std::filesystem::remove_all(directory_); }

  // Of a cluster.
  std::string new_directory() {
    const std::string path = directory_ + "/c" + std::to_string(++count_);
    std::filesystem::create_directory(path);
    return path;
  }
  static std::vector<int> first(int n) {  // workers
    std::vector<int> members(static_cast<std::size_t>(n));
    std::iota(members.begin(), members.end(), 0);
    return members;
  }
  static int sum(const std::vector<int>& group_sizes) {
    return std::accumulate(group_sizes.begin(), group_sizes.end(), 0);
  }

  std::string directory_;
  JobSpec job_;

 private:
  int count_ = 0;
};

inline std::string precision_name(const ::testing::TestParamInfo<Precision>& info) {
  return info.param == Precision::kBf16 ? "bf16" : "fp32";
}

}  // namespace regroup::testing
