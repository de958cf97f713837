#include "moe/regroup/regroup.hpp"

#include "moe/ops/owner_update.hpp"
#include "moe/state/interrupt.hpp"
#include "tests/support/placement.hpp"
#include "tests/support/tiny_job.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace regroup::testing {
namespace {

// What every step of these tests does to a shard: so its content tells the step.
void apply_step(const Shard& shard) {
  for (int array = 0; array < 3; ++array) {
    for (std::int64_t i = 0; i < shard.numel(); ++i) shard.array(array)[i] += static_cast<float>(array + 1);
  }
}

VoteRecord votes_of(std::int64_t step) {
  VoteRecord record;
  record.step = step;
  record.loss_sum = static_cast<double>(step) / 3;
  record.targets = 7;
  record.sum_of_squares = 2;
  return record;
}

struct Member {
  WorkerId id;
  std::unique_ptr<mesh::Mesh> mesh;
  CarriedState state;
  std::optional<Step> prepared;  // voted for without hearing of all votes
  int rolled_forward = 0;        // times
  std::optional<Error> interrupted;
  std::unique_ptr<EpochView> view;
  std::unique_ptr<RegroupAttempt> attempt;  // kept until the mesh has entered the next epoch

  void commit(std::int64_t step) {
    for (const auto& [key, shard] : state.store.all()) apply_step(*shard);
    state.live = Step(step);
    state.untouched.reset();
    state.record = votes_of(step);
    state.bad = state.bad.after(false);
  }
};

// Members of one job, a thread each, over a real mesh; no operator and no tensor.
class Regrouping : public ::testing::Test {
 protected:
  Regrouping() : job_(tiny_job()) {
    char pattern[] = "/tmp/regroup-members-XXXXXX";
    directory_ = ::mkdtemp(pattern);
    for (std::size_t i = 0; i < members_.size(); ++i) {
      Member& member = members_[i];
      member.id = {NodeId("node-" + std::to_string(i)), 1, 0, 0};
      mesh::Options options;
      options.self = member.id;
      options.listen = "unix:" + directory_ + "/m" + std::to_string(i);
      options.secret = job_.spec.secret;
      options.heartbeat = std::chrono::milliseconds(5000);  // silence is not what is tested here
      member.mesh = mesh::Mesh::open(options, {}).value();
    }
  }
  ~Regrouping() override {
    for (Member& member : members_) member.mesh.reset();
    std::filesystem::remove_all(directory_);
  }

  Prepared prepared_of(Member& member) {
    if (!member.prepared) return {};
    return {member.prepared, [this, &member](const VoteRecord& record) {
              member.commit(record.step);
              member.prepared.reset();
              ++member.rolled_forward;
              if (interrupt_after_roll_forward_) announce(epoch_ + 1);
              return member.state.bad;
            }};
  }
  void announce(std::uint64_t epoch) {
    for (Member& member : members_) member.mesh->announce(Epoch(epoch));
  }

  // The first members, in groups of these sizes, try the next epoch.
  void try_next(const std::vector<int>& group_sizes) {
    Plan plan;
    plan.parent = Epoch(epoch_);
    plan.epoch = Epoch(++epoch_);
    plan.job = job_.spec.name;
    plan.origin = epoch_ == 1 ? Origin::kFresh : Origin::kResume;
    plan.placement = make_placement(job_.spec, group_sizes, static_cast<int>(epoch_), true);
    std::vector<mesh::Peer> peers;
    for (int i = 0; i < plan.placement.num_ranks(); ++i) {
      const Member& member = members_[static_cast<std::size_t>(i)];
      plan.members.push_back({member.id, member.mesh->address(), {}});
      peers.push_back({member.id, member.mesh->address()});
    }
    std::vector<std::thread> threads;
    for (std::size_t rank = 0; rank < peers.size(); ++rank) {
      threads.emplace_back([&, rank, &member = members_[rank]] {
        member.interrupted.reset();
        try {
          must(member.mesh->enter(plan.epoch, peers, std::chrono::seconds(60)));
          member.attempt.reset();
          member.view = std::make_unique<EpochView>(job_, plan, Rank(static_cast<int>(rank)));
          member.attempt =
              std::make_unique<RegroupAttempt>(*member.mesh, *member.view, member.state, prepared_of(member), [] {});
          member.attempt->run();
        } catch (const Interrupted& interrupted) {
          member.interrupted = interrupted.error;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  // As a worker takes over what an attempt brought.
  void adopt() {
    for (Member& member : members_) {
      if (!member.attempt) continue;
      ASSERT_FALSE(member.interrupted) << to_string(*member.interrupted);
      member.state.store = std::move(member.attempt->store);
      member.state.live = member.attempt->settlement.step;
      member.state.bad = member.attempt->bad;
      if (member.attempt->record) member.state.record = member.attempt->record;
      member.prepared.reset();
    }
  }
  // Three members in one group, fresh, that have all committed step 1.
  void start() {
    try_next({3});
    adopt();
    for (Member& member : members_) member.commit(1);
  }

  // Every shard is that of `step`, and no other.
  void expect_step(const Member& member, std::int64_t step) {
    EXPECT_EQ(member.state.live, Step(step));
    for (const auto& [key, shard] : member.state.store.all()) {
      Shard expected(job_.units[static_cast<std::size_t>(shard->unit)], shard->blocks);
      expected.state.zero();
      ops::init_blocks(job_.units[static_cast<std::size_t>(shard->unit)], shard->blocks, job_.shape(), job_.spec.seed,
                       expected.master());
      for (std::int64_t i = 0; i < step; ++i) apply_step(expected);
      EXPECT_TRUE(std::ranges::equal(shard->state.span(), expected.state.span()))
          << "unit " << shard->unit << " blocks " << shard->blocks.lo << " to " << shard->blocks.hi;
    }
  }
  void expect_all(std::int64_t step) {
    for (const Member& member : members_) {
      expect_step(member, step);
      for (const Unit& unit : job_.units) {
        for (const Interval& blocks : member.view->kept(unit.index, member.view->self).intervals())
          EXPECT_NE(member.state.store.exactly(unit.index, blocks), nullptr) << "unit " << unit.index;
      }
    }
  }

  JobConstants job_;
  std::string directory_;
  std::vector<Member> members_{3};
  std::uint64_t epoch_ = 0;
  bool interrupt_after_roll_forward_ = false;
};

TEST_F(Regrouping, a_new_layout_gets_its_blocks_from_those_who_hold_them) {
  start();
  try_next({2, 1});
  EXPECT_EQ(members_[0].attempt->settlement.source, StateSource::kLive);
  EXPECT_GT(members_[2].attempt->bytes_received, 0) << "it alone is a group now, and lacked two thirds";
  adopt();
  expect_all(1);
}

TEST_F(Regrouping, owners_of_a_prepared_step_roll_it_forward_when_one_member_has_its_votes) {
  start();
  members_[0].prepared = members_[1].prepared = Step(2);
  members_[2].commit(2);
  try_next({2, 1});
  for (const Member& member : members_) {
    EXPECT_EQ(member.attempt->settlement.step, Step(2));
    EXPECT_EQ(member.rolled_forward, &member == &members_[2] ? 0 : 1);
  }
  adopt();
  expect_all(2);
}

TEST_F(Regrouping, a_prepared_step_whose_votes_nobody_has_never_happened) {
  start();
  for (Member& member : members_) member.prepared = Step(2);
  try_next({1, 2});
  for (const Member& member : members_) EXPECT_EQ(member.rolled_forward, 0);
  adopt();
  expect_all(1);
}

TEST_F(Regrouping, an_interrupted_attempt_leaves_the_old_shards_and_the_next_one_goes_on_from_them) {
  start();
  members_[0].prepared = members_[1].prepared = Step(2);
  members_[2].commit(2);
  interrupt_after_roll_forward_ = true;
  std::vector<std::map<ShardStore::Key, ShardPtr>> before;
  for (const Member& member : members_) before.push_back(member.state.store.all());
  try_next({2, 1});
  for (std::size_t i = 0; i < members_.size(); ++i) {
    ASSERT_TRUE(members_[i].interrupted);
    EXPECT_EQ(members_[i].interrupted->code, Code::kNewerEpoch);
    EXPECT_EQ(members_[i].state.store.all(), before[i]) << "shards of member " << i;
    expect_step(members_[i], members_[i].prepared ? 1 : 2);
  }
  interrupt_after_roll_forward_ = false;
  try_next({1, 2});
  adopt();
  expect_all(2);
  EXPECT_EQ(members_[0].rolled_forward, 1) << "once, however many attempts there were";
  EXPECT_EQ(members_[1].rolled_forward, 1);
}

TEST_F(Regrouping, without_a_source_for_some_block_all_wait_for_another_plan) {
  start();
  members_[1].state = {};  // as a death leaves it
  try_next({3});
  for (const Member& member : members_) {
    ASSERT_TRUE(member.interrupted);
    EXPECT_EQ(member.interrupted->code, Code::kUnavailable);
  }
  expect_step(members_[0], 1);
  expect_step(members_[2], 1);
}

TEST_F(Regrouping, a_job_whose_first_plan_committed_nothing_begins_anew_with_those_who_know_it) {
  try_next({3});
  adopt();
  members_[2].state = {};  // another worker in its place
  try_next({3});
  EXPECT_EQ(members_[2].attempt->settlement.source, StateSource::kFresh);
  adopt();
  expect_all(0);
  // Who voted cannot say that nothing was committed.
  for (Member& member : members_) member.state.store = ShardStore();
  members_[0].prepared = members_[1].prepared = Step(1);
  members_[2].state = {};
  try_next({3});
  for (const Member& member : members_) EXPECT_TRUE(member.interrupted);
}

}  // namespace
}  // namespace regroup::testing
