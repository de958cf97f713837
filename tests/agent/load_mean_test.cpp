#include "agent/core/load_mean.hpp"

#include <gtest/gtest.h>

namespace regroup::agent {
namespace {

using Load = std::vector<std::int64_t>;

// Commits a second apart; the last record that was news.
class World {
 public:
  void commit(std::uint64_t epoch, std::int64_t first, std::int64_t last, const Load& load) {
    for (std::int64_t step = first; step <= last; ++step) {
      CommitReport report;
      report.epoch = Epoch(epoch);
      report.step = Step(step);
      report.expert_load = load;
      mean_.add(report);
      now_ += Span{1000};
      if (auto news = mean_.news(now_, Span{5000})) told.push_back(*news);
    }
  }
  std::vector<LoadRecord> told;

 private:
  LoadMean mean_;
  Instant now_ = Instant{} + std::chrono::hours(1);
};

TEST(LoadMean, an_epoch_is_told_of_after_eight_steps_as_their_mean) {
  World w;
  w.commit(8, 1, 7, {10, 20, 30, 40});
  EXPECT_TRUE(w.told.empty());
  w.commit(8, 8, 8, {18, 20, 30, 32});
  ASSERT_EQ(w.told.size(), 1u);
  EXPECT_EQ(w.told[0].epoch, Epoch(8));
  EXPECT_EQ(w.told[0].step, Step(8));
  EXPECT_EQ(w.told[0].expert_load, (Load{11, 20, 30, 39}));
  EXPECT_TRUE(w.told[0].load_before.empty());
}

TEST(LoadMean, that_routers_are_steady_is_news_once) {
  World w;
  w.commit(8, 1, 8, {100, 100, 100, 100});
  w.commit(8, 9, 100, {102, 98, 102, 98});
  ASSERT_EQ(w.told.size(), 2u);
  EXPECT_EQ(w.told[1].step, Step(16));
  EXPECT_EQ(w.told[1].load_before, (Load{100, 100, 100, 100}));
}

TEST(LoadMean, tokens_that_go_elsewhere_are_news_and_so_is_that_they_stay_there) {
  World w;
  w.commit(8, 1, 16, {100, 100, 100, 100});
  w.told.clear();
  w.commit(8, 17, 60, {200, 0, 100, 100});
  ASSERT_EQ(w.told.size(), 2u);
  EXPECT_EQ(w.told[0].step, Step(24));
  EXPECT_EQ(w.told[1].step, Step(32));
  EXPECT_EQ(w.told[1].expert_load, w.told[1].load_before);
}

TEST(LoadMean, a_new_epoch_is_news_and_the_steps_before_it_count) {
  World w;
  w.commit(8, 1, 20, {100, 100});
  w.told.clear();
  w.commit(9, 21, 27, {100, 100});
  EXPECT_TRUE(w.told.empty());
  w.commit(9, 28, 33, {100, 100});
  ASSERT_EQ(w.told.size(), 1u);
  EXPECT_EQ(w.told[0].epoch, Epoch(9));
  EXPECT_EQ(w.told[0].step, Step(28));
  EXPECT_EQ(w.told[0].load_before, (Load{100, 100}));
}

TEST(LoadMean, the_largest_models_that_are_in_use_fit_into_etcd) {
  World w;
  w.commit(1, 1, 16, Load(58 * 256, 9'999'999));
  ASSERT_EQ(w.told.size(), 2u);
  EXPECT_LT(to_json(w.told[1]).size(), 256u << 10);
}

}  // namespace
}  // namespace regroup::agent
