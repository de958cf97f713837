#include "tests/support/tiny_job.hpp"

#include <gtest/gtest.h>

namespace regroup {
namespace {

struct Case {
  const char* says;  // what one violation must contain
  void (*break_it)(Plan&);
};

Group& group(Plan& plan, int g) { return plan.placement.groups.at(static_cast<std::size_t>(g)); }

const Case kCases[] = {
    {"epoch 0", [](Plan& p) { p.epoch = Epoch(0); }},
    {"parent epoch 7", [](Plan& p) { p.parent = Epoch(7); }},
    {"for job 'other'", [](Plan& p) { p.job = "other"; }},
    {"no reason", [](Plan& p) { p.reason.clear(); }},
    {"checkpoint_step and checkpoint_path", [](Plan& p) { p.checkpoint_path.clear(); }},
    {"checkpoint_step and checkpoint_path", [](Plan& p) { p.checkpoint_step.reset(); }},
    {"checkpoint_step is below 0", [](Plan& p) { p.checkpoint_step = Step(-1); }},
    {"starts fresh although", [](Plan& p) { p.origin = Origin::kFresh; }},
    {"detected_at_ms", [](Plan& p) { p.detected_at_ms = -1; }},
    {"no members", [](Plan& p) { p.members.clear(); }},
    {"member 1: the node id", [](Plan& p) { p.members[1].worker.node = NodeId("a/b"); }},
    {"member 1: the address", [](Plan& p) { p.members[1].address = "host:1"; }},
    {"member 1: the address", [](Plan& p) { p.members[1].address = "tcp:host"; }},
    {"member 1: the address", [](Plan& p) { p.members[1].address = "tcp:host:port"; }},
    {"member 1: the address", [](Plan& p) { p.members[1].address = "tcp:host:99999"; }},
    {"member 1: the address", [](Plan& p) { p.members[1].address = "tcp::1"; }},
    {"member 1: the address", [](Plan& p) { p.members[1].address = "unix:/" + std::string(107, 'x'); }},
    {"member 0: its agent: the address", [](Plan& p) { p.members[0].agent_address = ""; }},
    {"member 1: slot 0 of node a is member 0 already", [](Plan& p) { p.members[1].worker.node = NodeId("a"); }},
    {"donor 0: slot 0 of node c is member 2 already", [](Plan& p) { p.donors[0].worker.node = NodeId("c"); }},
    {"donor 0: the address", [](Plan& p) { p.donors[0].address = "unix:"; }},
    {"snapshot donor e: rank 3", [](Plan& p) { p.snapshot_donors[0].through = Rank(3); }},
    {"snapshot donor e is named twice", [](Plan& p) { p.snapshot_donors.push_back(p.snapshot_donors[0]); }},
    {"snapshot donor e: its agent: the address", [](Plan& p) { p.snapshot_donors[0].agent_address = "e"; }},
    {"snapshot donor : the node id", [](Plan& p) { p.snapshot_donors[0].node = NodeId(""); }},
    {"no groups", [](Plan& p) { p.placement.groups.clear(); }},
    {"group 1 has no ranks", [](Plan& p) { group(p, 1).ranks.clear(); }},
    {"group 0: its ranks are not ascending", [](Plan& p) { std::swap(group(p, 0).ranks[0], group(p, 0).ranks[1]); }},
    {"group 1: rank 3 is not a member", [](Plan& p) { group(p, 1).ranks[0] = Rank(3); }},
    {"group 1: rank -1 is not a member", [](Plan& p) { group(p, 1).ranks[0] = Rank(-1); }},
    {"group 1: rank 2 is named twice", [](Plan& p) { group(p, 1).ranks[0] = Rank(2); }},
    {"group 0: dense_blocks has 1 entries", [](Plan& p) { group(p, 0).dense_blocks.pop_back(); }},
    {"group 0: dense block 100 has two owners",
     [](Plan& p) {
       group(p, 0).dense_blocks[0].add({100, 101});
     }},
    {"group 0: dense block 100 has no owner",
     [](Plan& p) {
       group(p, 0).dense_blocks[1] = {{101, 200}};
     }},
    {"group 1: dense block 255 has no owner",
     [](Plan& p) {
       group(p, 1).dense_blocks[0] = {{0, 255}};
     }},
    {"group 1: dense block 256 lies outside",
     [](Plan& p) {
       group(p, 1).dense_blocks[0] = {{0, 257}};
     }},
    {"group 0: expert_member has 7 entries for 8", [](Plan& p) { group(p, 0).expert_member.pop_back(); }},
    {"group 0: expert_member[3] is 2", [](Plan& p) { group(p, 0).expert_member[3] = 2; }},
    {"group 0: expert_member[0] is -1", [](Plan& p) { group(p, 0).expert_member[0] = -1; }},
    {"group 0: its chains start at 1", [](Plan& p) { group(p, 0).first_chain = 1; }},
    {"group 1: its chains start at 5", [](Plan& p) { group(p, 0).end_chain = 4; }},
    {"group 1 computes no chain", [](Plan& p) { group(p, 0).end_chain = group(p, 1).first_chain = 8; }},
    {"the groups' chains end at 7", [](Plan& p) { group(p, 1).end_chain = 7; }},
};

std::string all(const std::vector<std::string>& violations) {
  std::string text;
  for (const std::string& violation : violations) text += violation + "\n";
  return text;
}

TEST(CheckPlan, the_sample_passes) { EXPECT_EQ(all(check_plan(testing::tiny_plan(), testing::tiny_job())), ""); }

TEST(CheckPlan, each_broken_field_is_caught_and_named) {
  for (const Case& broken : kCases) {
    Plan plan = testing::tiny_plan();
    broken.break_it(plan);
    const std::string violations = all(check_plan(plan, testing::tiny_job()));
    EXPECT_NE(violations.find(broken.says), std::string::npos)
        << "expected: " << broken.says << "\ngot: " << violations;
  }
}

TEST(CheckPlan, more_groups_than_the_job_allows_are_caught) {
  JobSpec job = testing::tiny_job();
  job.elastic.max_groups = 1;
  EXPECT_NE(all(check_plan(testing::tiny_plan(), job)).find("has 2 groups, the job allows 1"), std::string::npos);
}

TEST(CheckPlan, a_spare_is_no_violation) {
  Plan plan = testing::tiny_plan();
  plan.members.push_back(testing::tiny_participant("spare"));
  EXPECT_EQ(all(check_plan(plan, testing::tiny_job())), "");
}

}  // namespace
}  // namespace regroup
