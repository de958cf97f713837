// election_suite.hpp: elections on either store; see store_suite.hpp for what a World is.
#pragma once

#include "coordinator/election.hpp"
#include "tests/etcd/store_suite.hpp"

namespace regroup::testing {

struct Candidate {
  Candidate(Store& store, const std::string& name, std::chrono::milliseconds ttl = std::chrono::seconds(2))
      : election(
            store, {"/leader", name, ttl},
            [this](const Compare& compare) {
              fence = compare;
              gained.set();
            },
            [this] { lost.set(); }) {}
  Compare fence;  // read after `gained`
  Signal gained;
  Signal lost;
  coordinator::Election election;
};

inline void wait_for_candidates(Store& store, std::size_t count) {
  WatchLog log;
  const auto watch = store.watch("/leader/", log.callback());
  for (const auto until = std::chrono::steady_clock::now() + kPatience; std::chrono::steady_clock::now() < until;) {
    if (log.cache().size() >= count) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  FAIL() << "fewer than " << count << " candidates";
}

template <class World>
class ElectionSuite : public StoreSuite<World> {};
TYPED_TEST_SUITE_P(ElectionSuite);

TYPED_TEST_P(ElectionSuite, one_candidate_leads_and_the_next_follows_when_it_resigns) {
  Candidate first(this->store_, "first");
  ASSERT_TRUE(first.gained.wait());
  Candidate second(this->other_, "second");
  wait_for_candidates(this->store_, 2);
  EXPECT_EQ(second.gained.count(), 0);
  first.election.resign();
  EXPECT_EQ(first.lost.count(), 1);
  ASSERT_TRUE(second.gained.wait());
  EXPECT_GT(second.fence.number, first.fence.number);
  EXPECT_EQ(this->store_.get(second.fence.key)->value, "second");
}

TYPED_TEST_P(ElectionSuite, a_deposed_leader_cannot_write_and_campaigns_again) {
  Candidate first(this->store_, "first");
  ASSERT_TRUE(first.gained.wait());
  const Compare old = first.fence;
  ASSERT_TRUE(this->store_.txn({old}, {{Op::Kind::kPut, "/plan", "1", 0}})->succeeded);
  Candidate second(this->other_, "second");
  wait_for_candidates(this->store_, 2);
  this->world_.drop_lease(std::stoll(old.key.substr(old.key.rfind('/') + 1), nullptr, 16));
  ASSERT_TRUE(second.gained.wait());
  EXPECT_FALSE(this->store_.txn({old}, {{Op::Kind::kPut, "/plan", "stale", 0}})->succeeded);
  EXPECT_TRUE(this->other_.txn({second.fence}, {{Op::Kind::kPut, "/plan", "2", 0}})->succeeded);
  EXPECT_EQ(this->store_.get("/plan")->value, "2");
  ASSERT_TRUE(first.lost.wait());
  second.election.resign();
  ASSERT_TRUE(first.gained.wait(2));
  EXPECT_TRUE(this->store_.txn({first.fence}, {{Op::Kind::kPut, "/plan", "3", 0}})->succeeded);
}

TYPED_TEST_P(ElectionSuite, a_leader_whose_key_was_removed_leads_no_more) {
  Candidate first(this->store_, "first");
  ASSERT_TRUE(first.gained.wait());
  const Compare old = first.fence;
  ASSERT_TRUE(this->other_.erase(old.key));
  ASSERT_TRUE(first.lost.wait());
  ASSERT_TRUE(first.gained.wait(2));
  EXPECT_NE(first.fence.key, old.key);
}

REGISTER_TYPED_TEST_SUITE_P(ElectionSuite, one_candidate_leads_and_the_next_follows_when_it_resigns,
                            a_deposed_leader_cannot_write_and_campaigns_again,
                            a_leader_whose_key_was_removed_leads_no_more);

}  // namespace regroup::testing
