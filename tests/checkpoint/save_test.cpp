// Saves that fail, are stopped, or die at any moment.
#include "checkpoint/io/catalog.hpp"
#include "checkpoint/io/owner.hpp"
#include "tests/checkpoint/support.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <functional>
#include <thread>

namespace regroup::checkpoint {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Runs `body` in a child process; true when it was killed by SIGKILL.
bool killed_in_child(const std::function<void()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

const std::vector<std::string> kPoints = {
    "directory_made", "files_made",      "one_run_written",   "data_written",         "data_synced",
    "record_written", "parts_collected", "companions_copied", "manifest_not_renamed", "manifest_renamed"};

TEST(Crash, at_every_point_of_a_save_a_complete_checkpoint_remains_and_is_found) {
  const ModelShape shape = tiny_shape();
  const State older = make_state(shape, 1);
  const State newer = make_state(shape, 2);
  for (const std::string& point : kPoints) {
    SCOPED_TRACE(point);
    TempDir dir;
    const std::string before = save(dir.path(), info_of(shape, 1, 1), older, 2, 1);
    std::mt19937_64 random(2);
    const auto shares = cut_state(shape, newer, 2, random);
    const bool killed = killed_in_child([&] {
      for (int part = 1; part >= 0; --part) {
        auto request = request_of(dir.path(), info_of(shape, 2, 1), shares, part);
        if (part == 0)
          request.at_point = [&](const char* at) {
            if (point == at) ::kill(::getpid(), SIGKILL);
          };
        if (!write_part(request)) ::_exit(1);
        if (part == 0 && !commit(request, seconds(30))) ::_exit(2);
      }
    });
    EXPECT_TRUE(killed);
    auto found = find_newest_checkpoint(dir.path(), {"test", shape, "d", {}});
    ASSERT_TRUE(found) << to_string(found.error());
    const bool committed = point == "manifest_renamed";
    EXPECT_EQ(found->manifest.info.step, Step{committed ? 2 : 1});
    expect_equal(found->path, committed ? newer : older, 2, 3);
    expect_equal(before, older, 1, 4);

    // The next epoch saves the same step into a directory of its own; what was left behind is thinned out, what is
    // complete stays.
    const std::string after = save(dir.path(), info_of(shape, 2, 2), newer, 3, 5);
    expect_equal(after, newer, 2, 6);
    auto gone = prune_checkpoints(dir.path(), 2, Epoch{2});
    ASSERT_TRUE(gone) << to_string(gone.error());
    EXPECT_EQ(gone->size(), 1U);  // the rest of the crash, or (if it had committed) the oldest of three
    expect_equal(after, newer, 2, 7);
  }
}

TEST(Epochs, two_that_write_the_same_step_never_mix_and_a_late_commit_harms_nobody) {
  const ModelShape shape = tiny_shape();
  const State state = make_state(shape, 1);
  TempDir dir;
  std::mt19937_64 random(1);
  const auto old_shares = cut_state(shape, state, 2, random);
  ASSERT_TRUE(write_part(request_of(dir.path(), info_of(shape, 5, 1), old_shares, 0)));
  const std::string newest = save(dir.path(), info_of(shape, 5, 2), state, 3, 2);
  save(dir.path(), info_of(shape, 6, 2), make_state(shape, 2), 3, 3);
  // Epoch 1 wakes up and finishes what it began.
  ASSERT_TRUE(write_part(request_of(dir.path(), info_of(shape, 5, 1), old_shares, 1)));
  auto late = commit(request_of(dir.path(), info_of(shape, 5, 1), old_shares, 0), seconds(10));
  ASSERT_TRUE(late) << to_string(late.error());
  EXPECT_NE(late->directory, newest);
  auto found = find_newest_checkpoint(dir.path(), {"test", shape, "d", {}});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->manifest.info.step, Step{6});
  expect_equal(newest, state, 2, 4);
  expect_equal(late->directory, state, 2, 5);
}

TEST(Commit, says_which_part_did_not_come) {
  const ModelShape shape = tiny_shape();
  const State state = make_state(shape, 1);
  TempDir dir;
  std::mt19937_64 random(1);
  const auto shares = cut_state(shape, state, 3, random);
  ASSERT_TRUE(write_part(request_of(dir.path(), info_of(shape, 1, 1), shares, 0)));
  ASSERT_TRUE(write_part(request_of(dir.path(), info_of(shape, 1, 1), shares, 2)));
  auto committed = commit(request_of(dir.path(), info_of(shape, 1, 1), shares, 0), milliseconds(50));
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, Code::kTimeout);
  EXPECT_NE(committed.error().context.find("part 1 of 3"), std::string::npos);
  EXPECT_EQ(find_newest_checkpoint(dir.path(), {}).error().code, Code::kNotFound);
}

TEST(Commit, that_fails_leaves_no_directory_behind_and_one_that_is_stopped_does) {
  const ModelShape shape = tiny_shape();
  TempDir dir;
  std::mt19937_64 random(1);
  const auto shares = cut_state(shape, make_state(shape, 1), 2, random);
  const auto write = [&](int group, int part, std::uint64_t sum) {
    auto request = request_of(dir.path(), info_of(shape, 1, 1), shares, part);
    request.group = group;
    request.holds = [sum] { return std::vector<UnitSum>{{0, sum}}; };
    ASSERT_TRUE(write_part(request));
  };
  const auto committed = [&](milliseconds wait, const CancelFlag& cancel = {}) {
    return commit(request_of(dir.path(), info_of(shape, 1, 1), shares, 0), wait, cancel).error().code;
  };
  write(0, 0, 5);
  write(1, 1, 6);
  EXPECT_EQ(committed(seconds(5)), Code::kCorrupt) << "groups that differ";
  EXPECT_TRUE(fs::is_empty(dir.path()));
  write(0, 0, 5);
  EXPECT_EQ(committed(milliseconds(20)), Code::kTimeout);
  EXPECT_TRUE(fs::is_empty(dir.path()));
  write(0, 0, 5);
  CancelFlag cancel;
  cancel.cancel();
  EXPECT_EQ(committed(seconds(5), cancel), Code::kNewerEpoch);
  EXPECT_FALSE(fs::is_empty(dir.path())) << "a newer epoch deletes it when it has a complete one";
}

TEST(Commit, parts_that_leave_a_hole_are_refused) {
  const ModelShape shape = tiny_shape();
  const State state = make_state(shape, 1);
  TempDir dir;
  std::mt19937_64 random(1);
  auto shares = cut_state(shape, state, 2, random);
  shares[1].entries.erase(shares[1].entries.begin());  // not the last: it may be padding only
  for (int part : {0, 1}) ASSERT_TRUE(write_part(request_of(dir.path(), info_of(shape, 1, 1), shares, part)));
  auto committed = commit(request_of(dir.path(), info_of(shape, 1, 1), shares, 0), seconds(5));
  ASSERT_FALSE(committed);
  EXPECT_NE(committed.error().context.find("was written by no part"), std::string::npos) << committed.error().context;
}

TEST(Commit, a_part_of_another_state_is_refused) {
  const ModelShape shape = tiny_shape();
  const State state = make_state(shape, 1);
  TempDir dir;
  std::mt19937_64 random(1);
  const auto shares = cut_state(shape, state, 2, random);
  CheckpointInfo info = info_of(shape, 1, 1);
  ASSERT_TRUE(write_part(request_of(dir.path(), info, shares, 0)));
  CheckpointInfo other = info;
  other.seed = 8;
  ASSERT_TRUE(write_part(request_of(dir.path(), other, shares, 1)));
  auto committed = commit(request_of(dir.path(), info, shares, 0), seconds(5));
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, Code::kConflict);
}

TEST(Commit, a_record_that_a_power_cut_tore_is_refused) {
  const ModelShape shape = tiny_shape();
  const State state = make_state(shape, 1);
  for (const int kept_percent : {0, 50, 99}) {
    SCOPED_TRACE(kept_percent);
    TempDir dir;
    std::mt19937_64 random(1);
    const auto shares = cut_state(shape, state, 2, random);
    for (int part : {0, 1}) ASSERT_TRUE(write_part(request_of(dir.path(), info_of(shape, 1, 1), shares, part)));
    const std::string record = dir.path() + "/" + to_directory({Step{1}, Epoch{1}}) + "/part-1.json";
    fs::resize_file(record, fs::file_size(record) * static_cast<std::uintmax_t>(kept_percent) / 100);
    auto committed = commit(request_of(dir.path(), info_of(shape, 1, 1), shares, 0), seconds(5));
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code, Code::kCorrupt);
    EXPECT_NE(committed.error().context.find("part-1.json"), std::string::npos) << committed.error().context;
    EXPECT_EQ(find_newest_checkpoint(dir.path(), {}).error().code, Code::kNotFound);
  }
}

TEST(Owner, a_run_whose_directory_another_one_took_over_is_refused_with_both) {
  const TempDir dir;
  const ModelShape shape = tiny_shape();
  std::mt19937_64 random(1);
  const auto shares = cut_state(shape, make_state(shape, 1), 1, random);
  std::function<void()> takes_over_meanwhile;
  const auto commit_of = [&](const std::string& owner, int step) -> Result<void> {
    SaveRequest request = request_of(dir.path(), info_of(shape, step, 1), shares, 0);
    request.owner = owner;
    if (const auto written = write_part(request); !written) return written.error();
    if (takes_over_meanwhile) takes_over_meanwhile();
    if (const auto committed = commit(request, std::chrono::seconds(10)); !committed) return committed.error();
    return {};
  };
  const std::string one = owner_id("secret of one"), two = owner_id("secret of two");
  EXPECT_TRUE(commit_of(one, 1)) << "nobody wrote down whose it is";
  EXPECT_EQ(*own(dir.path(), "job", one), "");
  EXPECT_EQ(*own(dir.path(), "job", one), "") << "the same, later";
  EXPECT_TRUE(commit_of(one, 2));
  EXPECT_NE(own(dir.path(), "job", two)->find("was taken by run " + one + " of the job job, "), std::string::npos);
  EXPECT_TRUE(commit_of(two, 3));
  const auto refused = commit_of(one, 4);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kConflict);
  EXPECT_NE(refused.error().context.find("was taken over by run " + two), std::string::npos) << refused.error().context;
  EXPECT_NE(refused.error().context.find("this is run " + one), std::string::npos);
  EXPECT_FALSE(fs::exists(dir.path() + "/step-00000004.e1")) << "nothing of it is left";
  takes_over_meanwhile = [&] { EXPECT_TRUE(own(dir.path(), "job", one)); };
  EXPECT_EQ(commit_of(two, 6).error().code, Code::kConflict);
  takes_over_meanwhile = {};
  std::ofstream(dir.path() + "/OWNER.json") << "{";
  EXPECT_TRUE(commit_of(one, 5)) << "torn by a power cut";
}

TEST(Commit, a_complete_checkpoint_is_not_written_again) {
  const ModelShape shape = tiny_shape();
  const State state = make_state(shape, 1);
  TempDir dir;
  save(dir.path(), info_of(shape, 1, 1), state, 1, 1);
  std::mt19937_64 random(1);
  const auto shares = cut_state(shape, state, 1, random);
  EXPECT_EQ(write_part(request_of(dir.path(), info_of(shape, 1, 1), shares, 0)).error().code, Code::kConflict);
  EXPECT_EQ(commit(request_of(dir.path(), info_of(shape, 1, 1), shares, 0), seconds(1)).error().code, Code::kConflict);
}

TEST(Cancel, stops_a_commit_that_waits) {
  const ModelShape shape = tiny_shape();
  const State state = make_state(shape, 1);
  TempDir dir;
  std::mt19937_64 random(1);
  const auto shares = cut_state(shape, state, 2, random);
  ASSERT_TRUE(write_part(request_of(dir.path(), info_of(shape, 1, 1), shares, 0)));
  CancelFlag cancel;
  std::thread other([&] { cancel.cancel(); });
  auto committed = commit(request_of(dir.path(), info_of(shape, 1, 1), shares, 0), seconds(600), cancel);
  other.join();
  EXPECT_EQ(committed.error().code, Code::kNewerEpoch);
  EXPECT_EQ(write_part(request_of(dir.path(), info_of(shape, 1, 1), shares, 1), cancel).error().code,
            Code::kNewerEpoch);
}

// A limit on file sizes stands for a full disk: the same path, without the rights to mount one.
TEST(FullDisk, fails_with_the_file_and_the_reason_and_leaves_nothing_behind) {
  const ModelShape shape = tiny_shape();
  const State state = make_state(shape, 1);
  TempDir dir;
  const std::string older = save(dir.path(), info_of(shape, 1, 1), state, 2, 1);
  std::mt19937_64 random(1);
  const auto shares = cut_state(shape, state, 2, random);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{100'000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  auto written = write_part(request_of(dir.path(), info_of(shape, 2, 1), shares, 0));
  auto committed = commit(request_of(dir.path(), info_of(shape, 2, 1), shares, 0), seconds(600));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::kUnavailable);
  EXPECT_NE(written.error().context.find(".safetensors: " + std::string(std::strerror(EFBIG))), std::string::npos)
      << written.error().context;
  ASSERT_FALSE(committed);  // at once, not after ten minutes
  EXPECT_EQ(committed.error().code, Code::kUnavailable);
  int entries = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(dir.path())) ++entries;
  EXPECT_EQ(entries, 1);
  EXPECT_TRUE(verify_checkpoint(older));
  // Space again: the same step can be saved.
  save(dir.path(), info_of(shape, 2, 1), state, 2, 3);
}

TEST(FullDisk, a_root_that_is_a_file_is_said) {
  TempDir dir;
  const std::string root = dir.path() + "/file";
  {
    auto made = fs::path(root);
    std::fclose(std::fopen(made.c_str(), "w"));
  }
  const ModelShape shape = tiny_shape();
  const State state = make_state(shape, 1);
  std::mt19937_64 random(1);
  auto written = write_part(request_of(root, info_of(shape, 1, 1), cut_state(shape, state, 1, random), 0));
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().context.find(root), std::string::npos);
}

TEST(Prune, a_part_on_a_disk_of_its_own_does_not_fill_it) {
  const ModelShape shape = tiny_shape();
  const State state = make_state(shape, 1);
  TempDir dir;
  save(dir.path(), info_of(shape, 1, 1), state, 1, 1);
  std::mt19937_64 random(1);
  const auto shares = cut_state(shape, state, 2, random);
  for (std::int64_t step = 2; step <= 6; ++step) {
    ASSERT_TRUE(write_part(request_of(dir.path(), info_of(shape, step, 1), shares, 1)));
    ASSERT_TRUE(prune_left_behind(dir.path(), {Step{step}, Epoch{1}}));
  }
  std::vector<std::int64_t> steps;
  for (const ListedCheckpoint& listed : *list_checkpoints(dir.path())) steps.push_back(listed.stored.name.step.value);
  EXPECT_EQ(steps, (std::vector<std::int64_t>{6, 5, 1}));
}

TEST(Prune, takes_away_what_a_failed_save_could_not_delete) {
  const ModelShape shape = tiny_shape();
  TempDir dir;
  save(dir.path(), info_of(shape, 1, 1), make_state(shape, 1), 1, 1);
  for (const char* name : {"step-00000002.e1.failed-0", "step-00000002.e1.failed-", "notes.failed-0"})
    fs::create_directories(dir.path() + "/" + name + "/inside");
  const auto gone = prune_checkpoints(dir.path(), 1, Epoch{1});
  ASSERT_TRUE(gone) << to_string(gone.error());
  EXPECT_FALSE(fs::exists(dir.path() + "/step-00000002.e1.failed-0"));
  EXPECT_TRUE(fs::exists(dir.path() + "/step-00000002.e1.failed-")) << "not a name of ours";
  EXPECT_TRUE(fs::exists(dir.path() + "/notes.failed-0"));
}

TEST(Prune, keeps_the_newest_complete_ones_and_what_may_still_be_written) {
  const ModelShape shape = tiny_shape();
  const State state = make_state(shape, 1);
  TempDir dir;
  for (int step = 1; step <= 4; ++step) save(dir.path(), info_of(shape, step, 1), state, 1, 1);
  std::mt19937_64 random(1);
  const auto shares = cut_state(shape, state, 2, random);
  ASSERT_TRUE(write_part(request_of(dir.path(), info_of(shape, 5, 2), shares, 0)));
  auto gone = prune_checkpoints(dir.path(), 2, Epoch{2});
  ASSERT_TRUE(gone);
  ASSERT_EQ(gone->size(), 2U);
  EXPECT_EQ((*gone)[0].checkpoint.name.step, Step{1});
  auto list = list_checkpoints(dir.path());
  ASSERT_EQ(list->size(), 3U);
  EXPECT_EQ((*list)[0].stored.name.step, Step{5});
  EXPECT_FALSE((*list)[0].stored.complete);
  EXPECT_TRUE((*list)[1].stored.complete);
}

}  // namespace
}  // namespace regroup::checkpoint
