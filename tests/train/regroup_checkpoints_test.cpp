// Regrouping (regrouping.hpp) from a checkpoint that each member reads by path on its own node.
#include "api/job_terms.hpp"
#include "tests/checkpoint/support.hpp"
#include "tests/train/regrouping.hpp"

#include <random>

namespace regroup::testing {
namespace {

// Each member has a directory of its own, as if one path were different ones on their nodes.
class FromCheckpoints : public Regrouping {
 protected:
  void SetUp() override {
    for (const std::string what : {"a", "b", "of another job"}) {
      const std::string root = directory_ + "/" + what;
      auto info = checkpoint::info_of(job_.shape(), 2, 1);
      if (what == "of another job") info.job = "another";
      std::mt19937_64 random(1);
      const auto shares =
          checkpoint::cut_state(job_.shape(), checkpoint::make_state(job_.shape(), what == "b" ? 2 : 1), 1, random);
      checkpoint::SaveRequest request = checkpoint::request_of(root, info, shares, 0);
      request.terms = terms_of(going_on(""));
      ASSERT_TRUE(checkpoint::write_part(request));
      ASSERT_TRUE(checkpoint::commit(request, std::chrono::seconds(10)));
    }
  }
  [[nodiscard]] JobSpec going_on(const std::string& directory) const {
    const auto info = checkpoint::info_of(job_.shape(), 2, 1);
    JobSpec job = job_.spec;
    job.name = info.job;
    job.data_digest = info.data_digest;
    job.seed = info.seed;
    job.snapshots.checkpoint_dir = directory;
    return job;
  }
  // Which of them are refused.
  std::vector<int> odd_ones(const std::vector<std::string>& contents) {
    for (std::size_t i = 0; i < members_.size(); ++i)
      members_[i].job = std::make_unique<JobConstants>(going_on(directory_ + "/" + contents[i]));
    try_next({3});
    std::vector<int> odd;
    for (std::size_t i = 0; i < members_.size(); ++i)
      if (members_[i].has_wrong_files) odd.push_back(static_cast<int>(i));
    return odd;
  }
};

TEST_F(FromCheckpoints, all_that_find_the_same_one_go_on_from_it) {
  EXPECT_EQ(odd_ones({"a", "a", "a"}), std::vector<int>{});
  for (const Member& member : members_) {
    ASSERT_FALSE(member.interrupted) << to_string(*member.interrupted);
    EXPECT_EQ(member.attempt->settlement.source, StateSource::kCheckpoint);
    EXPECT_EQ(member.attempt->settlement.step, Step(2));
  }
}

TEST_F(FromCheckpoints, who_has_found_something_else_than_most_is_refused_whatever_its_rank) {
  EXPECT_EQ(odd_ones({"a", "a", "b"}), std::vector<int>{2});
  EXPECT_EQ(odd_ones({"b", "a", "a"}), std::vector<int>{0});
  EXPECT_NE(members_[0].interrupted->context.find("snapshots.dir on node node-0 holds step-00000002.e1 (digest "),
            std::string::npos)
      << members_[0].interrupted->context;
  EXPECT_EQ(members_[1].interrupted->context, members_[0].interrupted->context) << "the others name it";
  EXPECT_EQ(members_[1].interrupted->code, Code::kUnavailable);
  EXPECT_EQ(odd_ones({"of another job", "a", "a"}), std::vector<int>{0});
}

TEST_F(FromCheckpoints, nobody_begins_anew_where_one_has_a_checkpoint) {
  EXPECT_EQ(odd_ones({"none", "a", "a"}), std::vector<int>{0});
  EXPECT_EQ(odd_ones({"a", "none", "none"}), (std::vector<int>{1, 2}));
  EXPECT_EQ(odd_ones({"none", "none", "a"}), (std::vector<int>{0, 1}));
  EXPECT_NE(members_[0].interrupted->context.find("holds no complete checkpoint"), std::string::npos)
      << members_[0].interrupted->context;
}

TEST_F(FromCheckpoints, what_all_refuse_is_waited_for) {
  EXPECT_EQ(odd_ones({"of another job", "of another job", "of another job"}).size(), 0U);
  ASSERT_TRUE(members_[0].interrupted);
  EXPECT_NE(members_[0].interrupted->context.find("it is of the job another"), std::string::npos)
      << members_[0].interrupted->context;
}

}  // namespace
}  // namespace regroup::testing
