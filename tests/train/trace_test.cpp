// The traces that workers write: well-formed, complete, nested, and without effect on the bits.
#include "tests/train/on_tiny_job.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

namespace regroup::testing {
namespace {

using Json = nlohmann::json;

class TraceTest : public OnTinyJob<> {
 protected:
  void SetUp() override { job_.profile = {2, 2}; }

  std::string train(int workers, const std::vector<int>& groups, bool traced) {
    Cluster cluster(job_, workers, new_directory());
    if (traced) cluster.trace_into(directory_ + "/traces");
    return cluster.train(make_placement(job_, groups), first(workers), 4);
  }

  std::vector<Json> read(int worker) {
    std::ifstream in(directory_ + "/traces/" + std::to_string(worker) + ".json");
    const Json all = Json::parse(in, nullptr, false);
    EXPECT_TRUE(all.is_object() && all.contains("traceEvents")) << "worker " << worker;
    return all.is_object() ? all["traceEvents"].get<std::vector<Json>>() : std::vector<Json>();
  }
};

// The Trace Event Format: what a viewer needs of each event; and spans of one thread lie within each other or apart.
void expect_well_formed(const std::vector<Json>& events) {
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events[0]["ph"], "M");
  EXPECT_EQ(events[0]["name"], "process_name");
  EXPECT_TRUE(events[0]["args"]["name"].is_string());
  std::vector<std::pair<double, double>> spans;
  for (std::size_t i = 1; i < events.size(); ++i) {
    const Json& event = events[i];
    ASSERT_EQ(event["ph"], "X") << event;
    ASSERT_TRUE(event["name"].is_string() && event["cat"].is_string() && event["ts"].is_number() &&
                event["dur"].is_number() && event["args"].is_object())
        << event;
    EXPECT_EQ(event["pid"], events[0]["pid"]);
    EXPECT_GE(event["dur"].get<double>(), 0);
    spans.emplace_back(event["ts"].get<double>(), event["ts"].get<double>() + event["dur"].get<double>());
  }
  std::sort(spans.begin(), spans.end(),
            [](const auto& a, const auto& b) { return a.first != b.first ? a.first < b.first : a.second > b.second; });
  std::vector<double> open;
  constexpr double kRounding = 2;  // microseconds: ts has 16 digits
  for (const auto& [begin, end] : spans) {
    while (!open.empty() && open.back() <= begin + kRounding) open.pop_back();
    EXPECT_LE(end, open.empty() ? end : open.back() + kRounding);
    open.push_back(end);
  }
}

TEST_F(TraceTest, every_worker_says_what_it_did_in_the_steps_asked_for) {
  const std::string untraced = train(3, {2, 1}, false);
  EXPECT_EQ(train(3, {2, 1}, true), untraced);
  std::set<Json> pids;
  for (int worker = 0; worker < 3; ++worker) {
    const std::vector<Json> events = read(worker);
    expect_well_formed(events);
    pids.insert(events[0]["pid"]);
    std::map<std::string, int> count;
    std::set<std::int64_t> microbatches;
    for (std::size_t i = 1; i < events.size(); ++i) {
      const Json& args = events[i]["args"];
      const auto name = events[i]["name"].get<std::string>();
      const auto step = args["step"].get<std::int64_t>();
      EXPECT_TRUE(step == 2 || step == 3) << step;
      EXPECT_EQ(args["epoch"], 1);
      count[name + " " + std::to_string(step)]++;
      if (name == "forward" || name == "backward") {
        EXPECT_TRUE(args["layer"] == 0 || args["layer"] == 1) << args;
        EXPECT_TRUE(args.contains("wave")) << args;
        if (args.contains("microbatch")) microbatches.insert(args["microbatch"].get<std::int64_t>());
      }
      if (name == "vote" || name == "update" || name == "step") {
        EXPECT_FALSE(args.contains("layer") || args.contains("wave")) << args;
      }
    }
    constexpr int kDenseUnits = 4;         // embedding, two layers, head
    const int waves = worker < 2 ? 5 : 6;  // 8 chains of 2 microbatches: 10 for the group of two, 6 for the one alone
    for (const char* step : {" 2", " 3"}) {
      for (const char* once : {"step", "vote", "update"}) EXPECT_EQ(count[once + std::string(step)], 1) << once;
      for (const char* layered : {"forward", "backward"})
        EXPECT_EQ(count[layered + std::string(step)], 2 * waves) << layered << " of worker " << worker;
      EXPECT_EQ(count["head" + std::string(step)], waves);
      EXPECT_EQ(count["reduce" + std::string(step)], kDenseUnits * waves + 1) << "the leaves of each, and the trees";
      EXPECT_EQ(count["gather" + std::string(step)] > 0, worker < 2);
      EXPECT_EQ(count["dispatch" + std::string(step)] > 0, worker < 2);
      EXPECT_EQ(count["weight_gradients" + std::string(step)] > 0, worker < 2)
          << "they wait where others are waited for";
    }
    EXPECT_EQ(static_cast<int>(microbatches.size()), waves);
  }
  EXPECT_EQ(pids.size(), 3u) << "a process of the trace for each worker";
}

TEST_F(TraceTest, what_is_recomputed_lies_within_its_backward) {
  job_.recompute = Recompute::kFull;
  train(1, {1}, true);
  int repeated = 0;
  const std::vector<Json> events = read(0);
  expect_well_formed(events);
  for (const Json& event : events) repeated += event["name"] == "recompute";
  EXPECT_EQ(repeated, 2 * 2 * job_.microbatches);
}

TEST_F(TraceTest, none_is_written_where_none_is_asked_for) {
  job_.profile.steps = 0;
  train(1, {1}, true);
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/traces"));
}

}  // namespace
}  // namespace regroup::testing
