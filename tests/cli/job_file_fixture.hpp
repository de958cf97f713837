// job_file_fixture.hpp: job files in a directory of their own, and what is said of them.
#pragma once

#include "cli/job/job_file.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace regroup::cli {

namespace fs = std::filesystem;

inline constexpr const char* kGood = R"(name: good
seed: 3
data: data/text
model:
  vocab_size: 512
  hidden_size: 64
  intermediate_size: 96
  num_hidden_layers: 2
  num_attention_heads: 4
  num_key_value_heads: 2
  num_local_experts: 4
  num_experts_per_tok: 2
steps: 10
microbatches: 8
sequences_per_microbatch: 1
sequence_length: 32
optimizer:
  learning_rate: 1e-3
  schedule: linear
elastic:
  max_groups: 2
  worker_memory: 2GiB
  load_gain: 0.25
snapshots:
  every_steps: 2
  dir: ckpt
)";

class JobFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "regroup-job-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir = pattern;
  }
  void TearDown() override { fs::remove_all(dir); }

  Result<JobFile> load(const std::string& text) const {
    std::ofstream(dir / "job.yaml") << text;
    return load_job((dir / "job.yaml").string());
  }
  // kGood with one text replaced; the complaint about it.
  [[nodiscard]] std::string complaint(const std::string& from, const std::string& to) const {
    std::string text = kGood;
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    auto job = load(text);
    return job ? "" : job.error().context;
  }

  fs::path dir;
};

#define EXPECT_SAYS(said, what) EXPECT_NE((said).find(what), std::string::npos) << (said)

}  // namespace regroup::cli
