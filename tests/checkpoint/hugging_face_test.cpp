// The real transformers opens what we write. Skipped, with the reason, where there is none.
#include "checkpoint/io/catalog.hpp"
#include "tests/checkpoint/support.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace regroup::checkpoint {
namespace {

std::string python_with_transformers() {
  if (const char* python = std::getenv("REGROUP_PYTHON")) return python;
  const char* home = std::getenv("HOME");
  return std::string(home ? home : "") + "/.cache/regroup/venv/bin/python";
}

int open_with_transformers(const std::string& python, const std::string& directory) {
  const std::string script = std::string(REGROUP_TESTS_DIR) + "/open_with_transformers.py";
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::setenv("HF_HUB_OFFLINE", "1", 1);
    ::setenv("OMP_NUM_THREADS", "1", 1);
    ::execl(python.c_str(), python.c_str(), script.c_str(), directory.c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class HuggingFace : public ::testing::Test {
 protected:
  void SetUp() override {
    python_ = python_with_transformers();
    ASSERT_EQ(::access(python_.c_str(), X_OK), 0)
        << "no " << python_ << ": ./dev test makes it, or set REGROUP_PYTHON to a python with transformers";
  }
  std::string python_;
};

TEST_F(HuggingFace, transformers_opens_a_checkpoint_and_generates) {
  TempDir dir;
  ModelShape shape = tiny_shape();
  for (const int slices : {1, 3}) {
    shape.expert_slices = slices;
    CheckpointInfo info = info_of(shape, 1, static_cast<std::uint64_t>(slices));
    info.max_file_bytes = 200'000;  // several files and an index
    EXPECT_EQ(open_with_transformers(python_, save(dir.path(), info, make_state(shape, 1), 3, 1)), 0);
  }
}

TEST_F(HuggingFace, transformers_opens_an_export_of_a_tied_model_with_a_window) {
  TempDir dir;
  ModelShape shape = tiny_shape();
  shape.tie_word_embeddings = true;
  shape.num_local_experts = 5;
  shape.head_dim = 24;
  shape.sliding_window = 32;
  shape.rope_theta = 5e5;
  const std::string saved = save(dir.path() + "/from", info_of(shape, 1, 1), make_state(shape, 1), 2, 1);
  ASSERT_TRUE(export_checkpoint(saved, dir.path() + "/to"));
  for (const auto& entry : std::filesystem::directory_iterator(dir.path() + "/to"))
    EXPECT_EQ(entry.path().filename().string().find("optimizer"), std::string::npos);
  // the script compares with its shape
  std::filesystem::copy_file(saved + "/" + kManifestName, dir.path() + "/to/" + kManifestName);
  EXPECT_EQ(open_with_transformers(python_, dir.path() + "/to"), 0);
}

}  // namespace
}  // namespace regroup::checkpoint
