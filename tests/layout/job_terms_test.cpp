#include "layout/job_terms.hpp"

#include <gtest/gtest.h>

namespace regroup {
namespace {

JobTerms terms(std::int64_t steps, std::int64_t end = 0) {
  return {steps, end, 0, 1, 1, {{"microbatches", "4"}, {"seed", "1"}}};
}

std::string said(const JobTerms& had, std::int64_t step, const JobTerms& has, const MayChange& may = {}) {
  return contradiction("that job", had, Step(step), has, may);
}

TEST(JobTerms, what_differs_is_named_with_both_values) {
  EXPECT_EQ(said(terms(8, 8), 8, terms(8, 8)), "");
  JobTerms has = terms(8);
  has.values = {{"microbatches", "8"}, {"seed", "2"}};
  EXPECT_EQ(said(terms(8), 4, has),
            "microbatches: that job had 4, this one has 8; seed: that job had 1, this one has 2");
  has.values = {{"microbatches", "4"}, {"chains", "2"}};
  EXPECT_EQ(said(terms(8), 4, has),
            "seed: that job had 1, this one has nothing; chains: that job had nothing, this one has 2");
}

TEST(JobTerms, fewer_steps_than_are_done_are_refused_and_fewer_than_were_planned_are_not) {
  EXPECT_EQ(said(terms(8), 8, terms(4)), "steps: 8 are done already, this job has 4");
  EXPECT_EQ(said(terms(8, 8), 8, terms(4, 4)), "steps: 8 are done already, this job has 4");
  EXPECT_EQ(said(terms(8), 4, terms(6)), "");
  EXPECT_EQ(said(terms(8, 8), 4, terms(6, 6)), "optimizer.schedule_steps: that job had 8, this one has 6");
}

TEST(JobTerms, more_steps_must_be_asked_for_and_where_the_rate_falls_its_end_said) {
  EXPECT_EQ(said(terms(8), 8, terms(12)), "steps: that job had 8, this one has 12; --extend lengthens a job");
  EXPECT_EQ(said(terms(8), 8, terms(12), {.steps = true}), "");
  EXPECT_EQ(said(terms(8, 8), 8, terms(12, 12), {.steps = true}),
            "the learning rate fell until step 8, and with more steps you must say which end counts: "
            "optimizer.schedule_steps: 8 keeps it, optimizer.schedule_steps: 12 ends it anew");
  EXPECT_EQ(said(terms(8, 8), 8, terms(12, 12), {.steps = true, .schedule_end = true}), "");
  EXPECT_EQ(said(terms(8, 8), 8, terms(12, 8), {.steps = true, .schedule_end = true}), "");
  EXPECT_EQ(said(terms(8, 8), 8, terms(8, 20), {.schedule_end = true}),
            "optimizer.schedule_steps: that job had 8, this one has 20");
}

TEST(JobTerms, which_end_counts_is_asked_only_where_both_fall_and_the_steps_are_more) {
  EXPECT_EQ(said(terms(12, 12), 4, terms(8, 8), {.steps = true}),
            "optimizer.schedule_steps: that job had 12, this one has 8");
  EXPECT_EQ(said(terms(8), 8, terms(12, 12), {.steps = true}),
            "optimizer.schedule_steps: that job had 0, this one has 12");
  EXPECT_EQ(said(terms(8, 8), 8, terms(12), {.steps = true}),
            "optimizer.schedule_steps: that job had 8, this one has 0");
}

TEST(JobTerms, more_steps_are_no_leave_to_change_anything_else) {
  JobTerms has = terms(12);
  has.values["seed"] = "2";
  EXPECT_EQ(said(terms(8), 8, has, {.steps = true, .schedule_end = true}), "seed: that job had 1, this one has 2");
}

TEST(JobTerms, another_course_has_its_own_leave_and_is_none_for_the_steps) {
  JobTerms had = terms(8, 8), has = terms(8, 6);
  had.values["optimizer.learning_rate"] = "0.3";
  has.values["optimizer.learning_rate"] = "0.1";
  EXPECT_EQ(said(had, 4, has),
            "optimizer.learning_rate: that job had 0.3, this one has 0.1; --other-terms lets a job go on with another "
            "optimizer or other data; optimizer.schedule_steps: that job had 8, this one has 6");
  EXPECT_EQ(said(had, 4, has, {.course = true}), "");
  has.steps = 9;
  EXPECT_EQ(said(had, 4, has, {.course = true}), "steps: that job had 8, this one has 9; --extend lengthens a job");
}

TEST(JobTerms, another_number_is_refused_unless_that_is_allowed) {
  JobTerms has = terms(8);
  has.sample_order = 2;
  EXPECT_EQ(said(terms(8), 4, has),
            "sample_order: that job had 1, this one has 2; allow_mixed_fingerprints lets it go on with other bits");
  EXPECT_EQ(said(terms(8), 4, has, {.numbers = true}), "");
  has.sums = 3;
  EXPECT_NE(said(terms(8), 4, has).find("sums: that job had 1, this one has 3"), std::string::npos);
}

}  // namespace
}  // namespace regroup
