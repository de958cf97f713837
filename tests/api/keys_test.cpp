#include "api/keys.hpp"

#include <gtest/gtest.h>

#include <string>
#include <variant>

namespace regroup {
namespace {

const Keys kKeys("blue");

// The key that `parsed` came from.
struct Write {
  std::string operator()(const key::Node& at) const { return kKeys.node(at.node); }
  std::string operator()(const key::Notice& at) const { return kKeys.notice(at.node); }
  std::string operator()(const key::Suspect& at) const { return kKeys.suspect(at.reporter); }
  std::string operator()(const key::Assignment& at) const { return kKeys.assignment(at.node); }
  std::string operator()(const key::Candidate& at) const { return kKeys.leader() + "/" + at.lease; }
  std::string operator()(const key::Spec& at) const { return kKeys.spec(at.job); }
  std::string operator()(const key::CurrentPlan& at) const { return kKeys.current_plan(at.job); }
  std::string operator()(const key::PlanOfEpoch& at) const { return kKeys.plan(at.job, at.epoch); }
  std::string operator()(const key::Born& at) const { return kKeys.born(at.job); }
  std::string operator()(const key::Wish& at) const { return kKeys.wish(at.job, at.id); }
  std::string operator()(const key::Progress& at) const { return kKeys.progress(at.job, at.node); }
  std::string operator()(const key::Load& at) const { return kKeys.load(at.job, at.node); }
  std::string operator()(const key::Checkpoint& at) const { return kKeys.checkpoint(at.job, at.step); }
  std::string operator()(const key::Outcome& at) const { return kKeys.outcome(at.job); }
  std::string operator()(const key::Status& at) const { return kKeys.status(at.job); }
};

TEST(Keys, each_that_is_written_is_parsed_back) {
  const NodeId node("node-1");
  const Key all[] = {key::Node{node},
                     key::Notice{node},
                     key::Suspect{"node-1:00000000000000aa:0:3"},
                     key::Assignment{node},
                     key::Candidate{"1f"},
                     key::Spec{"tiny"},
                     key::CurrentPlan{"tiny"},
                     key::PlanOfEpoch{"tiny", Epoch(~std::uint64_t{0})},
                     key::Born{"tiny"},
                     key::Wish{"tiny", drain_wish(node)},
                     key::Progress{"tiny", node},
                     key::Load{"tiny", node},
                     key::Checkpoint{"tiny", Step(120)},
                     key::Outcome{"tiny"},
                     key::Status{"tiny"}};
  ASSERT_EQ(std::size(all), std::variant_size_v<Key>);
  for (std::size_t i = 0; i < std::size(all); ++i) {
    ASSERT_EQ(all[i].index(), i) << "one of each kind, in the variant's order";
    const std::string text = std::visit(Write{}, all[i]);
    const auto parsed = kKeys.parse(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(parsed->index(), i) << text;
    EXPECT_EQ(std::visit(Write{}, *parsed), text);
  }
}

TEST(Keys, a_wish_to_drain_says_which_node) {
  const auto drained_by = [](const std::string& id) {
    return std::get<key::Wish>(kKeys.parse(kKeys.wish("tiny", id)).value()).drained;
  };
  EXPECT_EQ(drained_by(drain_wish(NodeId("node-1"))), NodeId("node-1"));
  EXPECT_EQ(drained_by("scale"), std::nullopt);
  EXPECT_EQ(drained_by("stop"), std::nullopt);
}

TEST(Keys, a_strange_one_is_none) {
  const std::string root = kKeys.root();
  for (const std::string& text : {std::string(),
                                  root,
                                  Keys("red").node(NodeId("node-1")),
                                  std::string("/regroup/blue"),
                                  root + "nodes",
                                  kKeys.nodes(),
                                  root + "nodes/a/b",
                                  root + "leader",
                                  root + "elsewhere/a",
                                  kKeys.jobs(),
                                  root + "jobs/tiny",
                                  kKeys.job("tiny"),
                                  root + "jobs//spec",
                                  kKeys.job("tiny") + "specs",
                                  kKeys.job("tiny") + "spec/",
                                  kKeys.job("tiny") + "plan",
                                  kKeys.job("tiny") + "plan/",
                                  kKeys.job("tiny") + "plan/newest",
                                  kKeys.job("tiny") + "plan/-1",
                                  kKeys.job("tiny") + "plan/007",
                                  kKeys.job("tiny") + "plan/1/2",
                                  kKeys.job("tiny") + "plan/99999999999999999999",
                                  kKeys.wishes("tiny"),
                                  kKeys.progress("tiny"),
                                  kKeys.checkpoints("tiny") + "newest"})
    EXPECT_FALSE(kKeys.parse(text)) << text;
}

}  // namespace
}  // namespace regroup
