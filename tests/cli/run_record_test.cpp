#include "cli/local/run_record.hpp"

#include "cli/local/story.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <string>

namespace regroup::cli {
namespace {

JournalLine committed(const std::string& worker, int epoch, int step, std::int64_t at_ms, double loss = 1.0) {
  auto line =
      parse_journal_line(R"({"at_ms":)" + std::to_string(at_ms) + R"(,"node":"n","event":"committed","worker":")" +
                         worker + R"(","epoch":)" + std::to_string(epoch) + R"(,"step":)" + std::to_string(step) +
                         R"(,"loss":)" + std::to_string(loss) + R"(,"tokens":1000,"seconds":0.1})");
  EXPECT_TRUE(line);
  return *line;
}

JournalLine plan(int epoch, const std::string& cause, std::int64_t detected, std::int64_t decided,
                 const std::string& members = R"("a","b")") {
  auto line =
      parse_journal_line(R"({"at_ms":1,"node":"n","event":"plan","epoch":)" + std::to_string(epoch) + R"(,"cause":")" +
                         cause + R"(","members":[)" + members + R"(],"when":"now","detected_at_ms":)" +
                         std::to_string(detected) + R"(,"decided_at_ms":)" + std::to_string(decided) + "}");
  EXPECT_TRUE(line);
  return *line;
}

JournalLine regrouped(const std::string& worker, int epoch, const std::string& cause, int step, double agree,
                      std::int64_t bytes) {
  auto line = parse_journal_line(R"({"at_ms":1,"node":"n","event":"regrouped","worker":")" + worker + R"(","epoch":)" +
                                 std::to_string(epoch) + R"(,"cause":")" + cause + R"(","members":2,"step":)" +
                                 std::to_string(step) + R"(,"source":"live","agree_ms":)" + std::to_string(agree) +
                                 R"(,"bytes_moved":)" + std::to_string(bytes) + "}");
  EXPECT_TRUE(line);
  return *line;
}

TEST(JournalLines, what_is_no_line_is_ignored) {
  for (const char* text : {"", "{", "[]", R"({"at_ms":1})", R"({"event":"of another version"})", "null"})
    EXPECT_FALSE(parse_journal_line(text)) << text;
}

TEST(JournalLines, a_loss_that_is_not_a_number_stays_one) {
  auto line = parse_journal_line(R"({"event":"committed","loss":null,"step":3})");
  ASSERT_TRUE(line);
  EXPECT_TRUE(std::isnan(line->loss));
}

TEST(FileTail, gives_whole_lines_only_and_waits_for_a_file_that_is_not_there) {
  const std::string path = ::testing::TempDir() + "/regroup-tail-" + std::to_string(::getpid());
  std::remove(path.c_str());
  FileTail tail(path);
  EXPECT_TRUE(tail.read_new_lines().empty());
  std::ofstream out(path);
  out << "one\ntw" << std::flush;
  EXPECT_EQ(tail.read_new_lines(), (std::vector<std::string>{"one"}));
  out << "o\n\n" << std::flush;
  EXPECT_EQ(tail.read_new_lines(), (std::vector<std::string>{"two", ""}));
  std::remove(path.c_str());
}

TEST(FileTail, reads_a_file_to_its_end_that_was_renamed_and_then_the_one_in_its_place) {
  const std::string path = testing::TempDir() + "tail-renamed.jsonl";
  std::ofstream out(path);
  out << "one\n" << std::flush;
  FileTail tail(path);
  EXPECT_EQ(tail.read_new_lines(), std::vector<std::string>{"one"});
  out << "two\n" << std::flush;
  std::rename(path.c_str(), (path + ".1").c_str());
  std::ofstream(path) << "three\n";
  EXPECT_EQ(tail.read_new_lines(), (std::vector<std::string>{"two", "three"}));
  for (const std::string& gone : {path, path + ".1"}) std::remove(gone.c_str());
}

TEST(FileTail, begins_anew_with_a_file_that_is_made_anew) {
  const std::string path = testing::TempDir() + "tail-anew.jsonl";
  std::ofstream(path) << "of the first, which is long\n";
  FileTail tail(path);
  EXPECT_EQ(tail.read_new_lines(), std::vector<std::string>{"of the first, which is long"});
  std::remove(path.c_str());
  EXPECT_TRUE(tail.read_new_lines().empty());
  std::ofstream(path) << "of the second\n";
  EXPECT_EQ(tail.read_new_lines(), std::vector<std::string>{"of the second"});
  std::remove(path.c_str());
}

TEST(RunRecord, a_loss_without_lost_steps_is_timed_from_the_event) {
  RunRecord record;
  record.add(plan(1, "start", 0, 100));
  record.add(committed("a", 1, 1, 1000, 5.0));
  record.add(committed("b", 1, 1, 1001, 5.0));
  record.add(committed("a", 1, 2, 2000, 4.0));
  record.inject({2100, Deed::kKillWorker, "node-2", Step(2)});
  record.add(plan(2, "worker_lost", 2104, 2107));
  record.add(committed("a", 2, 3, 2200, 3.0));
  record.add(regrouped("a", 2, "worker_lost", 2, 8, 100));
  record.add(regrouped("b", 2, "worker_lost", 2, 9, 50));
  EXPECT_EQ(record.steps_lost(), 0);
  EXPECT_EQ(record.losses(), (std::vector<double>{5, 4, 3}));
  EXPECT_DOUBLE_EQ(record.tokens_per_second(), 2000 * 1000.0 / 1200);
  const auto regroups = record.regroups();
  ASSERT_EQ(regroups.size(), 1u);
  EXPECT_EQ(regroups[0].detect_ms, 4);
  EXPECT_EQ(regroups[0].decide_ms, 3);
  EXPECT_EQ(regroups[0].agree_ms, 9);
  EXPECT_EQ(regroups[0].bytes_moved, 150);
  EXPECT_EQ(regroups[0].total_ms, 100);
  EXPECT_EQ(regroups[0].source, "live");
  const auto rows = record.event_rows(regroups);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].regroup, &regroups[0]);
  EXPECT_EQ(rows[0].next_commit_ms, 100);
}

TEST(RunRecord, steps_that_are_computed_again_are_lost) {
  RunRecord record;
  for (int step = 1; step <= 7; ++step) record.add(committed("a", 1, step, step * 10));
  record.add(regrouped("a", 2, "worker_lost", 5, 1, 0));
  for (int step = 6; step <= 9; ++step) record.add(committed("a", 2, step, 100 + step * 10));
  EXPECT_EQ(record.steps_lost(), 2);
  EXPECT_EQ(record.regroups()[0].steps_lost, 2);
  EXPECT_TRUE(record.contradiction().empty());
}

TEST(RunRecord, steps_that_an_earlier_run_committed_are_lost_where_a_worker_says_so) {
  RunRecord record;
  JournalLine line = *parse_journal_line(
      R"({"at_ms":1,"node":"n","event":"regrouped","worker":"a","epoch":1,"step":10,"source":"checkpoint",)"
      R"("steps_lost":10,"reason":"the checkpoint /c/step-20 cannot be read"})");
  record.add(line);
  record.add(committed("a", 1, 11, 20));
  EXPECT_EQ(record.steps_lost(), 10);
  std::vector<std::string> told;
  Story story(20, [&](const std::string& text) { told.push_back(text); });
  line.first_commit_ms = 3;
  record.add(line);
  story.tell_new_epochs(record);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].find("10 steps lost: the checkpoint /c/step-20 cannot be read"), std::string::npos) << told[0];
}

TEST(Story, a_step_with_bad_gradients_is_told_once) {
  RunRecord record;
  std::vector<std::string> told;
  Story story(20, [&](const std::string& text) { told.push_back(text); });
  for (const char* worker : {"a", "b"}) {
    JournalLine line = committed(worker, 1, 3, 10);
    line.bad_in_a_row = 2;
    story.tell(line, record);
  }
  story.tell(committed("a", 1, 4, 20), record);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].find("bad step  3: its gradients were not finite, no weight was changed; 2 in a row"),
            std::string::npos)
      << told[0];
}

TEST(RunRecord, a_step_that_was_rolled_forward_and_reported_in_both_epochs_is_not_lost) {
  RunRecord record;
  record.add(committed("a", 1, 7, 10));
  record.add(regrouped("a", 2, "worker_lost", 7, 1, 0));
  record.add(committed("b", 2, 7, 20));
  record.add(committed("b", 2, 8, 30));
  EXPECT_EQ(record.steps_lost(), 0);
}

TEST(RunRecord, a_loss_that_differs_by_one_bit_between_members_is_a_contradiction) {
  RunRecord record;
  record.add(committed("a", 1, 1, 10, 2.0));
  JournalLine other = committed("b", 1, 1, 11, 2.0);
  other.loss = std::nextafter(other.loss, 3.0);
  record.add(other);
  EXPECT_NE(record.contradiction().find("step 1"), std::string::npos);
}

TEST(RunRecord, digests_that_differ_are_a_contradiction) {
  RunRecord record;
  record.add(*parse_journal_line(R"({"event":"finished","worker":"a","step":5,"weights_sha256":"aa"})"));
  EXPECT_TRUE(record.finished());
  EXPECT_EQ(record.final_step(), 5);
  record.add(*parse_journal_line(R"({"event":"finished","worker":"b","step":5,"weights_sha256":"ab"})"));
  EXPECT_FALSE(record.contradiction().empty());
}

TEST(RunRecord, each_event_is_answered_by_a_plan_of_its_own_kind) {
  RunRecord record;
  record.inject({100, Deed::kJoin, "node-5", Step(1)});
  record.inject({110, Deed::kKillWorker, "node-2", Step(1)});
  record.inject({120, Deed::kKillCoordinator, "coordinator-1", Step(1)});
  record.add(plan(2, "worker_lost", 112, 113));
  record.add(plan(3, "join", 150, 151, R"("node-1/7/0/0","node-5/8/0/0")"));
  record.add(regrouped("a", 2, "worker_lost", 1, 1, 0));
  record.add(regrouped("a", 3, "join", 2, 1, 0));
  const auto regroups = record.regroups();
  const auto rows = record.event_rows(regroups);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].regroup->epoch, Epoch(3));
  EXPECT_EQ(rows[1].regroup->epoch, Epoch(2));
  EXPECT_EQ(rows[2].regroup, nullptr);
}

TEST(RunRecord, one_plan_answers_several_joins_and_a_later_one_none_of_them) {
  RunRecord record;
  record.inject({100, Deed::kJoin, "node-5", Step(1)});
  record.inject({110, Deed::kJoin, "node-6", Step(1)});
  record.inject({120, Deed::kJoin, "node-7", Step(1)});
  record.add(plan(2, "join", 150, 151, R"("node-1/7/0/0","node-5/8/0/0","node-6/8/0/0")"));
  record.add(plan(3, "join", 300, 301, R"("node-1/7/0/0","node-5/8/0/0","node-6/8/0/0","node-8/8/0/0")"));
  for (int epoch : {2, 3}) record.add(regrouped("a", epoch, "join", epoch, 1, 0));
  const auto regroups = record.regroups();
  const auto rows = record.event_rows(regroups);
  EXPECT_EQ(rows[0].regroup->epoch, Epoch(2));
  EXPECT_EQ(rows[1].regroup->epoch, Epoch(2));
  EXPECT_EQ(rows[2].regroup, nullptr);  // it never became a member
  EXPECT_EQ(regroups[0].detect_ms, 50);
  EXPECT_EQ(regroups[1].detect_ms, 0);
}

}  // namespace
}  // namespace regroup::cli
