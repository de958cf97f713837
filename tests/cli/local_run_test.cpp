#include "cli/local/local_run.hpp"

#include "cli/local/processes.hpp"
#include "tests/support/tiny_job.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace regroup::cli {
namespace {

namespace fs = std::filesystem;

// `regroup local` over stand-ins for agent and coordinator (tests/cli/stand_ins.py) and a real etcd.
class LocalRunTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "regroup-local-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir = pattern;
    fs::create_directories(dir / "bin");
    for (const char* program : {"regroup-agent", "regroup-coordinator", "regroup-worker"}) {
      fs::copy_file(REGROUP_SOURCE_DIR "/tests/cli/stand_ins.py", dir / "bin" / program);
      fs::permissions(dir / "bin" / program, fs::perms::owner_all);
    }
    fs::create_directories(dir / "run");
    ::setenv("STAND_IN_DIR", (dir / "run").c_str(), 1);
    JobSpec& job = options.job;
    job = regroup::testing::tiny_job();
    job.name = "small";
    job.secret.clear();  // submit makes one
    job.steps = 30;
    job.snapshots.checkpoint_dir = (dir / "run/checkpoints").string();
    options.dir = (dir / "run").string();
    options.programs = (dir / "bin").string();
    options.nodes = 2;
    options.coordinators = 2;
    options.stall_seconds = 60;
    options.out = std::tmpfile();
  }
  void TearDown() override {
    std::fclose(options.out);
    EXPECT_TRUE(children_of(::getpid()).empty()) << "something outlived the run";
    fs::remove_all(dir);
  }
  int run(const std::string& mode) {
    std::ofstream(dir / "run/mode") << mode;
    std::string text;
    const int status = run_local(options, &text);
    summary = nlohmann::json::parse(text);
    std::rewind(options.out);
    char buffer[4096];
    for (std::size_t n = std::fread(buffer, 1, sizeof buffer, options.out); n > 0;
         n = std::fread(buffer, 1, sizeof buffer, options.out))
      printed.append(buffer, n);
    return status;
  }

  fs::path dir;
  LocalOptions options;
  nlohmann::json summary;
  std::string printed;
};

TEST_F(LocalRunTest, a_run_with_events_ends_with_a_summary_and_nothing_left) {
  options.events = {{.at_step = 3, .deed = Deed::kKillNode, .node = "node-2"},
                    {.at_step = 6, .deed = Deed::kJoin},
                    {.at_step = 9, .deed = Deed::kKillCoordinator},
                    {.at_step = 12, .deed = Deed::kStopEtcd, .seconds = 0.2}};
  options.summary_file = (dir / "summary.json").string();
  EXPECT_EQ(run("good"), 0) << printed << summary;
  EXPECT_EQ(summary["final_step"], 30);
  EXPECT_EQ(summary["loss"].size(), 30u);
  EXPECT_EQ(summary["weights_sha256"].get<std::string>().substr(0, 4), "abab");
  EXPECT_EQ(summary["steps_lost"], 0);
  EXPECT_EQ(summary["events"].size(), 4u);
  EXPECT_TRUE(fs::exists(dir / "summary.json"));
  for (const char* part : {"kill-node node-2", "join node-3", "kill-coordinator coordinator-1", "stop-etcd",
                           "etcd answers again", "start", "weights abab"})
    EXPECT_NE(printed.find(part), std::string::npos) << part << "\n" << printed;
}

TEST_F(LocalRunTest, agents_that_die_end_the_run_with_their_last_words) {
  EXPECT_EQ(run("dies"), 1);
  EXPECT_NE(summary["error"].get<std::string>().find("no space left on the device"), std::string::npos)
      << summary["error"];
}

TEST_F(LocalRunTest, a_job_that_stands_still_fails_with_a_sentence) {
  options.stall_seconds = 0.5;
  EXPECT_EQ(run("stalls"), 1);
  EXPECT_NE(summary["error"].get<std::string>().find("no step was committed"), std::string::npos) << summary["error"];
}

TEST_F(LocalRunTest, members_that_contradict_each_other_fail_the_run) {
  EXPECT_EQ(run("contradicts"), 1);
  EXPECT_NE(summary["error"].get<std::string>().find("the loss of step 5 is another on"), std::string::npos)
      << summary["error"];
}

TEST_F(LocalRunTest, a_directory_that_cannot_be_made_is_named) {
  options.dir = "/proc/nowhere";
  EXPECT_EQ(run("good"), 1);
  EXPECT_NE(summary["error"].get<std::string>().find("/proc/nowhere"), std::string::npos);
}

}  // namespace
}  // namespace regroup::cli
