// Which terms a checkpoint's state was computed under, and who may go on from it.
#include "api/job_terms.hpp"
#include "api/orders.hpp"
#include "checkpoint/io/wanted.hpp"
#include "tests/checkpoint/support.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace regroup::checkpoint {
namespace {

class Chain : public ::testing::Test {
 protected:
  Chain() {
    job_.name = "test";
    job_.data_digest = "d";
    job_.seed = 7;
    job_.steps = 4;
  }
  Result<CheckpointCommitted> try_save(std::int64_t step, const JobTerms& terms) {
    std::mt19937_64 random(1);
    const auto shares = cut_state(job_.model, state_, 1, random);
    SaveRequest request = request_of(dir_.path(), info_of(job_.model, step, 1), shares, 0);
    request.terms = terms;
    EXPECT_TRUE(write_part(request));
    return commit(request, std::chrono::seconds(10));
  }
  void save_step(std::int64_t step, const JobTerms& terms) {
    const auto committed = try_save(step, terms);
    ASSERT_TRUE(committed) << to_string(committed.error());
    last_ = committed->directory;
  }
  // As an older program left it.
  void forget_terms() {
    auto manifest = (*CheckpointReader::open(last_))->manifest();
    manifest.chain.clear();
    std::ofstream(last_ + "/" + kManifestName) << to_json(manifest);
  }
  [[nodiscard]] auto found() const { return find_newest_checkpoint(dir_.path(), wanted_by(job_)); }
  [[nodiscard]] std::string refused() const {
    const auto answer = found();
    EXPECT_TRUE(answer || answer.error().code == Code::kBadInput);
    return answer ? "" : answer.error().context;
  }

  TempDir dir_;
  JobSpec job_ = regroup::testing::tiny_job();
  State state_ = make_state(job_.model, 1);
  std::string last_;
};

TEST_F(Chain, goes_on_from_the_checkpoint_before_and_says_from_which_step_on) {
  const JobTerms first = terms_of(job_);
  job_.steps = 8;
  job_.lengthens = true;
  const JobTerms second = terms_of(job_);
  save_step(2, first);
  save_step(4, first);
  save_step(6, second);
  save_step(8, second);
  EXPECT_EQ(found()->manifest.chain, (TermsChain{{Step(0), first}, {Step(4), second}}));
}

TEST_F(Chain, that_cannot_be_read_now_is_not_begun_anew) {
  const std::string manifest = dir_.path() + "/step-00000002.e1/" + kManifestName;
  save_step(2, terms_of(job_));
  std::filesystem::rename(manifest, manifest + ".aside");
  std::filesystem::create_directory(manifest);  // opens, and reading it is an error of the system
  const auto failed = try_save(4, terms_of(job_));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kUnavailable);
  EXPECT_NE(failed.error().context.find(manifest), std::string::npos) << failed.error().context;
  std::filesystem::remove(manifest);
  std::filesystem::rename(manifest + ".aside", manifest);
  save_step(4, terms_of(job_));
  EXPECT_EQ(found()->manifest.chain, (TermsChain{{Step(0), terms_of(job_)}}));
}

TEST_F(Chain, another_job_of_the_name_is_refused_with_both_values) {
  save_step(2, terms_of(job_));
  EXPECT_EQ(refused(), "");
  job_.seed = 8;
  job_.model.rope_theta = 20;
  EXPECT_NE(
      refused().find(last_ + " cannot be resumed from: model.rope_theta: the checkpoint's job had 1000000.0, this "
                             "one has 20.0; seed: the checkpoint's job had 7, this one has 8; a job of its own "
                             "needs another name and another snapshots.dir"),
      std::string::npos)
      << refused();
}

TEST_F(Chain, a_key_that_its_program_did_not_know_has_its_default) {
  JobTerms older = terms_of(job_);
  ASSERT_EQ(older.values.erase("separate_documents") + older.values.erase("model.expert_slices"), 2U);
  save_step(2, older);
  EXPECT_EQ(refused(), "");
  save_step(4, terms_of(job_));
  EXPECT_EQ(found()->manifest.chain, (TermsChain{{Step(0), older}})) << "they are the same terms";
  job_.separate_documents = true;
  EXPECT_NE(refused().find("separate_documents: the checkpoint's job had false, this one has true"), std::string::npos)
      << refused();
}

TEST_F(Chain, another_optimizer_from_some_step_on_is_an_entry_of_its_own) {
  const JobTerms first = terms_of(job_);
  save_step(2, first);
  job_.optimizer.learning_rate /= 2;
  EXPECT_NE(refused().find("optimizer.learning_rate: the checkpoint's job had"), std::string::npos) << refused();
  job_.changes_terms = true;
  EXPECT_EQ(refused(), "");
  save_step(4, terms_of(job_));
  EXPECT_EQ(found()->manifest.chain, (TermsChain{{Step(0), first}, {Step(2), terms_of(job_)}}));
  EXPECT_TRUE(terms_changed(found()->manifest.chain, job_));
}

TEST_F(Chain, another_number_is_refused_or_goes_on_with_a_note_and_its_step) {
  JobTerms older = terms_of(job_);
  older.sums = 0;
  save_step(2, older);
  EXPECT_NE(refused().find("sums: the checkpoint's job had 0, this one has " + std::to_string(kSums)),
            std::string::npos)
      << refused();
  job_.allow_mixed_fingerprints = true;
  ASSERT_TRUE(found());
  ASSERT_EQ(found()->notes.size(), 1U);
  EXPECT_NE(found()->notes[0].find("has sums 0, this program " + std::to_string(kSums) +
                                   ": from step 2 on the bits are others"),
            std::string::npos);
  save_step(4, terms_of(job_));
  EXPECT_EQ(found()->manifest.chain, (TermsChain{{Step(0), older}, {Step(2), terms_of(job_)}}));
}

TEST_F(Chain, of_an_older_program_is_taken_with_a_note_of_what_cannot_be_checked) {
  save_step(2, {});
  forget_terms();
  job_.allow_mixed_fingerprints = true;  // whatever this program's numbers are
  ASSERT_TRUE(found()) << refused();
  ASSERT_FALSE(found()->notes.empty());
  EXPECT_NE(found()->notes[0].find("is of an older program"), std::string::npos) << found()->notes[0];
  save_step(3, terms_of(job_));
  EXPECT_EQ(found()->manifest.chain, (TermsChain{{Step(2), terms_of(job_)}})) << "what was before is not known";
  EXPECT_TRUE(found()->notes.empty());
}

TEST_F(Chain, what_an_older_program_said_is_checked) {
  save_step(3, {});
  forget_terms();
  job_.seed = 8;
  EXPECT_NE(refused().find("seed: the checkpoint's job had 7, this one has 8"), std::string::npos) << refused();
  job_.seed = 7;
  job_.steps = 2;
  EXPECT_NE(refused().find("steps: 3 are done already, this job has 2"), std::string::npos) << refused();
}

}  // namespace
}  // namespace regroup::checkpoint
