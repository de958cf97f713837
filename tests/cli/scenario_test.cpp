#include "cli/local/scenario.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace regroup::cli {
namespace {

std::string complaint(const std::string& text) {
  const std::string path = ::testing::TempDir() + "/regroup-events-" + std::to_string(::getpid()) + ".yaml";
  std::ofstream(path) << text;
  auto events = load_events(path);
  std::remove(path.c_str());
  return events ? "" : events.error().context;
}

#define EXPECT_SAYS(said, what) EXPECT_NE((said).find(what), std::string::npos) << (said)

TEST(EventsFile, every_kind_of_the_demo_is_known) {
  auto events = load_events(REGROUP_SOURCE_DIR "/examples/demo/events.yaml");
  ASSERT_TRUE(events) << events.error().context;
  EXPECT_EQ(events->size(), 6u);
  EXPECT_EQ(events->front().deed, Deed::kKillWorker);
  EXPECT_EQ(events->front().node, "node-2");
  EXPECT_EQ(events->back().deed, Deed::kStopEtcd);
}

TEST(EventsFile, mistakes_are_named) {
  EXPECT_SAYS(complaint("- {at_step: 3, do: kill-wroker}"), "did you mean kill-worker?");
  EXPECT_SAYS(complaint("- {at_step: 3, do: join}\n- {at_stp: 3, do: join}"),
              "event 2.at_stp is not a key here; did you mean at_step?");
  EXPECT_SAYS(complaint("- {at_epoch: 3, do: join, node: a, seconds: 3}"), "event 1.at_step is missing");
  EXPECT_SAYS(complaint("- {at_step: 3, node: a, nodes: 2}"), "event 1.do is missing");
  EXPECT_SAYS(complaint("- {at_step: 3, do: join, nod: a}"), "did you mean node?");
  EXPECT_SAYS(complaint("- {at_step: 3, do: stop-etcd}"), "for how long");
  EXPECT_SAYS(complaint("- {at_step: 3, do: scale}"), "how many");
  EXPECT_SAYS(complaint("- {at_step: 3, do: join, seconds: 3}"), "means nothing for join");
  EXPECT_SAYS(complaint("- {at_step: -3, do: join}"), "at least 0");
  EXPECT_SAYS(complaint("- {at_step: 3, at_epoch: -2, do: join}"), "at least 0");
  EXPECT_SAYS(complaint("at_step: 3"), "must be a list");
  EXPECT_SAYS(complaint("- ["), "not YAML");
  EXPECT_SAYS(complaint("- {at_step: 3, do: join}\n---\n- {at_step: 4, do: join}"), "a second document");
  EXPECT_EQ(load_events("/nowhere/events.yaml").error().code, Code::kNotFound);
}

TEST(Trace, lines_that_make_no_sense_are_refused_with_their_number) {
  EXPECT_SAYS(parse_trace("").error().context, "empty");
  EXPECT_SAYS(parse_trace("0,add,a\nx,add,b\n").error().context, "line 2");
  EXPECT_SAYS(parse_trace("5,add,a\n4,add,b\n").error().context, "before");
  EXPECT_SAYS(parse_trace("0,join,a\n").error().context, "add or remove");
  EXPECT_SAYS(parse_trace("0,add\n").error().context, "is not milliseconds");
  EXPECT_SAYS(parse_trace("0,add,a\n1,add,a\n").error().context, "there already");
  EXPECT_SAYS(parse_trace("0,remove,a\n").error().context, "not there");
  auto good = parse_trace("0,add,a,b\r\n10,remove,a\n\n");
  ASSERT_TRUE(good);
  EXPECT_EQ((*good)[0].nodes, (std::vector<std::string>{"a", "b"}));
}

std::string told(const TracePlay& play) {
  std::string text;
  for (const auto& node : play.at_start) text += "start " + node + "\n";
  for (const auto& event : play.events)
    text += std::to_string(event.at_ms) + " " + to_string(event.deed) + " " + event.node + "\n";
  return text;
}

TEST(Trace, machines_beyond_the_limit_wait_and_step_in_when_one_goes) {
  auto trace = parse_trace(
      "1000,add,a\n1000,add,b\n1000,add,c\n2000,add,d\n3000,remove,a\n4000,remove,d\n5000,remove,c,b\n6000,add,e\n");
  ASSERT_TRUE(trace);
  EXPECT_EQ(told(play_trace(*trace, 2, 10)),
            "start a\nstart b\n200 kill-node a\n200 join c\n400 kill-node c\n400 kill-node b\n500 join e\n");
}

TEST(Trace, a_spare_that_leaves_with_the_machine_it_would_replace_never_starts) {
  auto trace = parse_trace("0,add,a,b\n10,remove,a,b\n20,add,c\n");
  ASSERT_TRUE(trace);
  EXPECT_EQ(told(play_trace(*trace, 1, 1)), "start a\n10 kill-node a\n20 join c\n");
}

TEST(Trace, the_recorded_availability_of_real_machines_never_exceeds_the_limit) {
  // The head of a recorded trace of spot machines.
  const std::string text =
      "480000,add,node1\n540000,add,node2\n600000,add,node3\n600000,add,node4\n600000,add,node5\n600000,add,"
      "node6\n600000,add,node7\n"
      "1440000,remove,node3\n1440000,remove,node7\n1560000,remove,node6\n1680000,remove,node1\n1740000,add,"
      "node25\n2640000,remove,node25\n";
  auto trace = parse_trace(text);
  ASSERT_TRUE(trace);
  for (int limit : {1, 2, 4, 9}) {
    const TracePlay play = play_trace(*trace, limit, 60);
    int running = static_cast<int>(play.at_start.size());
    std::int64_t last = 0;
    for (const auto& event : play.events) {
      EXPECT_GE(event.at_ms, last);
      last = event.at_ms;
      running += event.deed == Deed::kJoin ? 1 : -1;
      EXPECT_GE(running, 0);
      EXPECT_LE(running, limit);
    }
    EXPECT_EQ(running, std::min(limit, 3));  // node2, 4 and 5 stay
  }
}

}  // namespace
}  // namespace regroup::cli
