// Regrouping (regrouping.hpp) from a checkpoint that each member reads by path on its own node.
#include "api/job_terms.hpp"
#include "tests/checkpoint/support.hpp"
#include "tests/train/regrouping.hpp"

#include <filesystem>
#include <fstream>
#include <limits>
#include <random>

namespace regroup::testing {
namespace {

// Each member has a directory of its own, as if one path were different ones on their nodes.
class FromCheckpoints : public Regrouping {
 protected:
  void SetUp() override {
    for (const std::string what : {"a", "b", "of another job"}) save(what, 2);
  }
  void save(const std::string& what, int step) const {
    const std::string root = directory_ + "/" + what;
    auto info = checkpoint::info_of(job_.shape(), step, 1);
    if (what == "of another job") info.job = "another";
    std::mt19937_64 random(1);
    const auto shares =
        checkpoint::cut_state(job_.shape(), checkpoint::make_state(job_.shape(), what == "b" ? 2 : 1), 1, random);
    checkpoint::SaveRequest request = checkpoint::request_of(root, info, shares, 0);
    request.terms = terms_of(going_on(""));
    ASSERT_TRUE(checkpoint::write_part(request));
    ASSERT_TRUE(checkpoint::commit(request, std::chrono::seconds(10)));
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

TEST_F(FromCheckpoints, a_damaged_one_is_named_counted_and_does_not_stand_in_the_way) {
  const std::string path = directory_ + "/a/step-00000002.e1";
  for (const auto& entry : std::filesystem::directory_iterator(path))
    if (entry.path().extension() == ".safetensors") {
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(-100, std::ios::end);
      file.write("damaged", 7);
    }
  EXPECT_EQ(odd_ones({"a", "a", "a"}), std::vector<int>{});
  for (const Member& member : members_) {
    ASSERT_FALSE(member.interrupted) << to_string(*member.interrupted);
    EXPECT_EQ(member.attempt->settlement.source, StateSource::kFresh);
    EXPECT_EQ(member.attempt->damaged.newest(), Step(2));
    const std::string& reason = member.attempt->settlement.reason;
    EXPECT_NE(reason.find("the checkpoint " + path + " cannot be read: " + path + "/"), std::string::npos) << reason;
    EXPECT_NE(reason.find("(corrupt)"), std::string::npos) << reason;
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(std::filesystem::exists(path + ".damaged"));
}

TEST_F(FromCheckpoints, one_that_cannot_even_be_opened_is_named_and_counted_too) {
  save("a", 4);
  const std::string path = directory_ + "/a/step-00000004.e1";
  std::filesystem::resize_file(path + "/MANIFEST.json", 100);
  EXPECT_EQ(odd_ones({"a", "a", "a"}), std::vector<int>{});
  EXPECT_EQ(members_[1].attempt->settlement.step, Step(2));
  EXPECT_EQ(members_[1].attempt->damaged.newest(), Step(4));
  const std::string& reason = members_[1].attempt->settlement.reason;
  EXPECT_NE(reason.find("resumed from " + directory_ + "/a/step-00000002.e1; the checkpoint " + path + ": " + path),
            std::string::npos)
      << reason;
  EXPECT_TRUE(std::filesystem::exists(path + ".damaged"));
}

TEST_F(FromCheckpoints, what_is_left_of_one_without_its_manifest_is_said) {
  std::filesystem::remove(directory_ + "/a/step-00000002.e1/MANIFEST.json");
  EXPECT_EQ(odd_ones({"a", "a", "a"}), std::vector<int>{});
  const std::string& reason = members_[1].attempt->settlement.reason;
  EXPECT_NE(reason.find("step-00000002.e1 has no MANIFEST.json"), std::string::npos) << reason;
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/a/step-00000002.e1")) << "it may be a save under way";
}

TEST_F(Regrouping, a_weight_that_is_no_number_is_named) {
  start();
  EXPECT_EQ(members_[0].state.store.not_finite(job_.units), "");
  const ShardPtr shard = members_[0].state.store.all().begin()->second;
  shard->master()[1] = std::numeric_limits<float>::quiet_NaN();
  const std::string said = members_[0].state.store.not_finite(job_.units);
  EXPECT_NE(said.find(job_.units[static_cast<std::size_t>(shard->unit)].tensors.front().name + " holds "),
            std::string::npos)
      << said;
}

TEST_F(FromCheckpoints, where_one_cannot_look_for_now_nobody_is_refused_and_all_wait) {
  std::ofstream(directory_ + "/a file") << "in place of the directory";
  for (const auto& contents : {std::vector<std::string>{"a", "a", "a file"}, {"a file", "none", "none"}}) {
    EXPECT_EQ(odd_ones(contents), std::vector<int>{});
    for (const Member& member : members_) {
      ASSERT_TRUE(member.interrupted);
      EXPECT_EQ(member.interrupted->code, Code::kUnavailable);
      EXPECT_NE(member.interrupted->context.find("a file: Not a directory"), std::string::npos)
          << member.interrupted->context;
    }
  }
}

TEST_F(FromCheckpoints, what_all_refuse_is_waited_for) {
  EXPECT_EQ(odd_ones({"of another job", "of another job", "of another job"}).size(), 0U);
  ASSERT_TRUE(members_[0].interrupted);
  EXPECT_NE(members_[0].interrupted->context.find("it is of the job another"), std::string::npos)
      << members_[0].interrupted->context;
}

}  // namespace
}  // namespace regroup::testing
