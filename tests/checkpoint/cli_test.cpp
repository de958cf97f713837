#include "checkpoint/io/catalog.hpp"
#include "cli/checkpoint/checkpoint_commands.hpp"
#include "tests/checkpoint/support.hpp"

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>

namespace regroup::checkpoint {
namespace {

struct Ran {
  int status = -1;
  std::string out, err;
};
Ran run(std::vector<std::string> words) {
  CLI::App app;
  std::function<int()> chosen;
  cli::add_checkpoint_commands(app, &chosen);
  std::reverse(words.begin(), words.end());
  Ran ran;
  try {
    app.parse(words);
  } catch (const CLI::ParseError&) {
    ran.status = 2;
    return ran;
  }
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  ran.status = chosen();
  ran.out = ::testing::internal::GetCapturedStdout();
  ran.err = ::testing::internal::GetCapturedStderr();
  return ran;
}

class CheckpointCommands : public ::testing::Test {
 protected:
  void SetUp() override {
    newest_ = save(dir_.path(), info_of(tiny_shape(), 7, 2), make_state(tiny_shape(), 1), 2, 1);
    std::filesystem::create_directory(dir_.path() + "/step-00000009.e3");
  }
  TempDir dir_;
  std::string newest_;
};

TEST_F(CheckpointCommands, ls_shows_complete_ones_and_says_why_others_are_not) {
  auto ran = run({"checkpoint", "ls", dir_.path(), "--json"});
  EXPECT_EQ(ran.status, 0);
  const auto json = nlohmann::json::parse(ran.out);
  ASSERT_EQ(json.size(), 2U);
  EXPECT_EQ(json[0]["step"], 9);
  EXPECT_EQ(json[0]["complete"], false);
  EXPECT_EQ(json[1]["job"], "test");
  EXPECT_EQ(json[1]["complete"], true);
  EXPECT_NE(run({"checkpoint", "ls", dir_.path()}).out.find("not complete"), std::string::npos);
  EXPECT_EQ(run({"checkpoint", "ls", dir_.path() + "/none"}).status, 1);
  const TempDir local;  // as `regroup local --dir` leaves it
  std::filesystem::create_directory_symlink(dir_.path(), local.path() + "/checkpoints");
  EXPECT_NE(run({"checkpoint", "ls", local.path()}).out.find("holds no checkpoints"), std::string::npos);
  std::ofstream(local.path() + "/cluster.json") << "{}";
  EXPECT_NE(run({"checkpoint", "ls", local.path()}).out.find("not complete"), std::string::npos);
}

TEST_F(CheckpointCommands, verify_and_digest_take_the_newest_complete_one_of_a_directory) {
  auto ran = run({"checkpoint", "verify", dir_.path(), "--json"});
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(nlohmann::json::parse(ran.out)["path"], newest_);
  ran = run({"checkpoint", "digest", newest_ + "/", "--json"});
  EXPECT_EQ(nlohmann::json::parse(ran.out)["weights_sha256"], digest_checkpoint(newest_).value());
}

TEST_F(CheckpointCommands, damage_is_named_and_the_status_is_not_zero) {
  for (const auto& entry : std::filesystem::directory_iterator(newest_))
    if (entry.path().filename().string().starts_with("optimizer")) std::filesystem::resize_file(entry.path(), 5000);
  auto ran = run({"checkpoint", "verify", newest_});
  EXPECT_EQ(ran.status, 1);
  EXPECT_NE(ran.err.find("optimizer-00001-of-00001.safetensors"), std::string::npos) << ran.err;
  EXPECT_EQ(run({"checkpoint", "verify"}).status, 2);
}

TEST_F(CheckpointCommands, export_makes_a_model_once) {
  const std::string target = dir_.path() + "/model";
  EXPECT_EQ(run({"checkpoint", "export", dir_.path(), target}).status, 0);
  EXPECT_TRUE(std::filesystem::exists(target + "/config.json"));
  EXPECT_TRUE(std::filesystem::exists(target + "/model-00001-of-00001.safetensors"));
  EXPECT_FALSE(std::filesystem::exists(target + "/" + kManifestName));
  EXPECT_EQ(run({"checkpoint", "export", dir_.path(), target}).status, 1);
}

}  // namespace
}  // namespace regroup::checkpoint
