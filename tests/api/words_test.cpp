#include "api/words.hpp"

#include "api/job_status.hpp"
#include "api/journal_event.hpp"
#include "api/records.hpp"
#include "base/state_source.hpp"
#include "tests/support/tiny_job.hpp"

#include <gtest/gtest.h>

#include <string>

namespace regroup {
namespace {

template <class Enum, std::size_t N>
std::string all_of(const Words<Enum, N>& words) {
  std::string text;
  for (const char* word : words.words) text += std::string(text.empty() ? "" : " ") + word;
  return text;
}

TEST(Words, are_frozen_and_in_the_order_of_their_enumerators) {
  EXPECT_EQ(all_of(kEvidenceWords), "exit eof silence hang self unreachable link");
  EXPECT_EQ(all_of(kStateSourceWords), "live snapshot checkpoint fresh");
  EXPECT_EQ(all_of(kCauseWords),
            "start worker_lost node_lost silent hang fault join drain scale balance load stop retry");
  EXPECT_EQ(kJobStateWords(JobState::kUnknown), "");
  EXPECT_EQ(all_of(kJobStateWords), "waiting starting regrouping training stopping finished stopped failed");
  EXPECT_EQ(kProgressWords(ProgressState::kUnknown), "");
  EXPECT_EQ(all_of(kProgressWords), "training waiting finished failed stopped");
  EXPECT_EQ(all_of(kWishWords), "scale drain stop");
  EXPECT_EQ(all_of(kNoticeWords), "drain spot maintenance other");
  EXPECT_EQ(all_of(kJournalEventWords),
            "plan plan_refused worker_started worker_ready worker_exited state suspicion committed regrouped validated "
            "finished gave_up stopped fault snapshot_kept snapshot_failed checkpoint_part checkpoint_durable "
            "checkpoint_failed lease_lost quits");
  EXPECT_EQ(to_string(Evidence::kSelf), "self");
  EXPECT_EQ(to_string(StateSource::kFresh), "fresh");
  EXPECT_EQ(to_string(Cause::kStop), "stop");
  EXPECT_EQ(to_string(JobState::kFailed), "failed");
  EXPECT_EQ(to_string(WishKind::kStop), "stop");
  EXPECT_EQ(to_string(NoticeKind::kOther), "other");
}

TEST(Words, a_progress_record_has_state_and_reason_in_one_text) {
  const auto there_and_back = [](ProgressState state, const std::string& reason, const std::string& text) {
    ProgressRecord record;
    record.state = state;
    record.reason = reason;
    const std::string written = to_json(record);
    EXPECT_NE(written.find("\"state\":\"" + text + '"'), std::string::npos) << written;
    const auto read = progress_from_json(written);
    ASSERT_TRUE(read) << to_string(read.error());
    EXPECT_EQ(read->state, state) << text;
    EXPECT_EQ(read->reason, reason) << text;
  };
  there_and_back(ProgressState::kUnknown, "", "");
  there_and_back(ProgressState::kTraining, "", "training");
  there_and_back(ProgressState::kWaiting, "for state: of a donor", "waiting: for state: of a donor");
  there_and_back(ProgressState::kWaiting, "", "waiting: ");
  there_and_back(ProgressState::kFinished, "", "finished");
  there_and_back(ProgressState::kFailed, "", "failed: ");
  there_and_back(ProgressState::kStopped, "", "stopped");
  there_and_back(ProgressState::kStopped, "the disk is full", "stopped: the disk is full");
}

// `good` with `word` in place of its word `old`.
std::string with_word(std::string good, const std::string& old, const std::string& word) {
  const std::string quoted = '"' + old + '"';
  return good.replace(good.find(quoted), quoted.size(), '"' + word + '"');
}

TEST(Words, an_unknown_one_is_refused_by_the_name_of_its_field) {
  const auto bad_plan = plan_from_json(with_word(to_json(testing::tiny_plan()), "join", "whim"));
  ASSERT_FALSE(bad_plan);
  EXPECT_NE(bad_plan.error().context.find("cause is 'whim'"), std::string::npos) << bad_plan.error().context;
  const auto bad_status = job_status_from_json(
      with_word(to_json(JobStatus{JobState::kWaiting, "", {}, {}, {}, ""}), "waiting", "dreaming"));
  ASSERT_FALSE(bad_status);
  EXPECT_NE(bad_status.error().context.find("state is 'dreaming'"), std::string::npos) << bad_status.error().context;
}

TEST(Words, a_suspicion_of_another_version_still_accuses) {
  const SuspectRecord suspect{"x", Epoch(4), {{testing::tiny_participant("y").worker, Evidence::kHang, 55}}};
  const auto read = suspect_from_json(with_word(to_json(suspect), "hang", "rumour"));
  ASSERT_TRUE(read) << to_string(read.error());
  ASSERT_EQ(read->suspicions.size(), 1U);
  EXPECT_EQ(read->suspicions[0].whom, suspect.suspicions[0].whom);
  EXPECT_EQ(read->suspicions[0].evidence, Evidence::kEof);
}

TEST(Words, a_progress_record_whose_state_is_not_known_keeps_its_numbers) {
  ProgressRecord record;
  record.epoch = Epoch(3);
  record.step = Step(8);
  record.state = ProgressState::kTraining;
  for (const char* word : {"dancing", "failed", "waiting", "dancing: for a reason"}) {
    const auto read = progress_from_json(with_word(to_json(record), "training", word));
    ASSERT_TRUE(read) << word << ": " << to_string(read.error());
    EXPECT_EQ(read->state, ProgressState::kUnknown) << word;
    EXPECT_EQ(read->step, Step(8)) << word;
  }
  const auto failed = progress_from_json(with_word(to_json(record), "training", "failed: no more disk: full"));
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->state, ProgressState::kFailed);
  EXPECT_EQ(failed->reason, "no more disk: full");
}

TEST(Words, a_wish_or_a_notice_of_another_version_can_still_be_read) {
  const auto wish = wish_from_json(with_word(to_json(WishRecord{WishKind::kScale, 1, NodeId("")}), "scale", "dance"));
  ASSERT_TRUE(wish) << to_string(wish.error());
  EXPECT_FALSE(wish->kind);
  const auto notice =
      notice_from_json(with_word(to_json(NoticeRecord{NodeId("n"), NoticeKind::kSpot, 1}), "spot", "flood"));
  ASSERT_TRUE(notice) << to_string(notice.error());
  EXPECT_EQ(notice->kind, NoticeKind::kOther);
}

}  // namespace
}  // namespace regroup
