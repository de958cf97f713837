#include "cli/local/cluster.hpp"

#include "cli/local/processes.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

namespace regroup::cli {
namespace {

namespace fs = std::filesystem;

bool eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < until) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

// Shell scripts in place of the programs: an agent with one worker, a coordinator.
class ClusterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "regroup-cluster-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir = pattern;
    script("regroup-agent", "sleep 1000 & echo started; wait");
    script("regroup-coordinator", "sleep 1000");
    script("regroup-worker", "exit 0");
    options.dir = dir.string();
    options.programs = dir.string();
  }
  void TearDown() override { fs::remove_all(dir); }
  void script(const std::string& name, const std::string& body) const {
    std::ofstream(dir / name) << "#!/bin/sh\n" << body << "\n";
    fs::permissions(dir / name, fs::perms::owner_all);
  }

  fs::path dir;
  ClusterOptions options;
};

TEST_F(ClusterTest, nothing_is_left_when_it_ends) {
  int etcd = 0, agent = 0;
  std::vector<int> workers;
  {
    auto cluster = Cluster::start(options);
    ASSERT_TRUE(cluster) << cluster.error().context;
    ASSERT_TRUE((*cluster)->start_node("node-1"));
    EXPECT_FALSE((*cluster)->start_node("node-1"));
    etcd = (*cluster)->etcd().pid();
    agent = (*cluster)->agent_pid("node-1");
    ASSERT_TRUE(eventually([&] { return (*cluster)->worker_pids("node-1").size() == 1; }));
    workers = (*cluster)->worker_pids("node-1");
    EXPECT_GT(etcd, 0);
  }
  EXPECT_NE(::kill(etcd, 0), 0);
  EXPECT_NE(::kill(agent, 0), 0);
  for (const int pid : workers) EXPECT_NE(::kill(pid, 0), 0) << "a worker outlived its agent";
  EXPECT_TRUE(children_of(::getpid()).empty());
}

TEST_F(ClusterTest, a_killed_node_takes_its_worker_along_and_is_no_surprise) {
  auto cluster = Cluster::start(options);
  ASSERT_TRUE(cluster) << cluster.error().context;
  ASSERT_TRUE((*cluster)->start_node("node-1"));
  ASSERT_TRUE(eventually([&] { return (*cluster)->worker_pids("node-1").size() == 1; }));
  const int worker = (*cluster)->worker_pids("node-1").front();
  (*cluster)->kill_node("node-1");
  EXPECT_FALSE((*cluster)->runs("node-1"));
  std::vector<std::string> ends;
  EXPECT_TRUE(eventually([&] {
    for (auto& end : (*cluster)->unexpected_ends()) ends.push_back(end.text);
    return ::kill(worker, 0) != 0;
  }));
  EXPECT_TRUE(ends.empty());
}

TEST_F(ClusterTest, a_process_that_ends_by_itself_is_told_with_its_last_words) {
  script("regroup-coordinator", "echo cannot listen on port 1 >&2; exit 3");
  auto cluster = Cluster::start(options);
  ASSERT_TRUE(cluster) << cluster.error().context;
  std::vector<std::string> ends;
  ASSERT_TRUE(eventually([&] {
    for (auto& end : (*cluster)->unexpected_ends()) ends.push_back(end.text);
    return !ends.empty();
  }));
  EXPECT_NE(ends[0].find("coordinator-1 ended by itself with status 3"), std::string::npos) << ends[0];
  EXPECT_NE(ends[0].find("cannot listen on port 1"), std::string::npos) << ends[0];
}

TEST_F(ClusterTest, a_missing_program_is_named) {
  fs::remove(dir / "regroup-worker");
  auto cluster = Cluster::start(options);
  ASSERT_FALSE(cluster);
  EXPECT_NE(cluster.error().context.find("regroup-worker"), std::string::npos);
}

}  // namespace
}  // namespace regroup::cli
