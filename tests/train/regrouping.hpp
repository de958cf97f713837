// regrouping.hpp: members of one job, a thread each, that try one epoch after the other; no operator and no tensor.
#pragma once

#include "moe/ops/owner_update.hpp"
#include "moe/regroup/regroup.hpp"
#include "moe/state/interrupt.hpp"
#include "tests/support/placement.hpp"
#include "tests/support/tiny_job.hpp"
#include "tests/train/watched_mesh.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace regroup::testing {

// What every step of these tests does to a shard: so its content tells the step.
inline void apply_step(const Shard& shard) {
  for (int array = 0; array < 3; ++array) {
    for (std::int64_t i = 0; i < shard.numel(); ++i) shard.array(array)[i] += static_cast<float>(array + 1);
  }
}

inline VoteRecord votes_of(std::int64_t step) {
  VoteRecord record;
  record.step = step;
  record.loss_sum = static_cast<double>(step) / 3;
  record.targets = 7;
  record.sum_of_squares = 2;
  return record;
}

struct Member {
  WorkerId id;
  std::unique_ptr<JobConstants> job;  // as its node sees it; none: as all do
  std::unique_ptr<WatchedMesh> mesh;
  std::string agent;  // the address of its agent; empty: nobody answers there
  CarriedState state;
  std::optional<Step> prepared;  // voted for without hearing of all votes
  int rolled_forward = 0;        // times
  std::optional<Error> interrupted;
  bool has_wrong_files = false;
  std::unique_ptr<EpochView> view;
  std::unique_ptr<RegroupAttempt> attempt;  // kept until the mesh has entered the next epoch

  void commit(std::int64_t step) {
    for (const auto& [key, shard] : state.store.all()) apply_step(*shard);
    state.live = Step(step);
    state.record = votes_of(step);
    state.bad = state.bad.after(false);
  }
};

// Over a real mesh.
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
      member.mesh = std::make_unique<WatchedMesh>(mesh::Mesh::open(options, {}).value());
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
    const std::lock_guard lock(meshes_);
    for (Member& member : members_)
      if (member.mesh) member.mesh->announce(Epoch(epoch));
  }

  // The first members, in groups of these sizes, try the next epoch; `donors` give their state away.
  void try_next(const std::vector<int>& group_sizes, const std::vector<int>& donors = {}) {
    Plan plan;
    plan.parent = Epoch(epoch_);
    plan.epoch = Epoch(++epoch_);
    plan.job = job_.spec.name;
    plan.origin = epoch_ == 1 || nothing_is_safe_ ? Origin::kFresh : Origin::kResume;
    plan.placement = make_placement(job_.spec, group_sizes, shift_.value_or(static_cast<int>(epoch_)), true);
    plan.snapshot_donors = snapshot_donors_;
    plan.checkpoint_step = checkpoint_step_;
    plan.faults = faults_;
    std::vector<int> everybody(static_cast<std::size_t>(plan.placement.num_ranks()));
    std::iota(everybody.begin(), everybody.end(), 0);
    everybody.insert(everybody.end(), donors.begin(), donors.end());
    std::vector<mesh::Peer> peers;
    for (const int number : everybody) {
      const Member& member = members_[static_cast<std::size_t>(number)];
      const bool donates = static_cast<int>(peers.size()) >= plan.placement.num_ranks();
      (donates ? plan.donors : plan.members).push_back({member.id, member.mesh->address(), member.agent});
      peers.push_back({member.id, member.mesh->address()});
    }
    std::vector<std::thread> threads;
    for (std::size_t rank = 0; rank < peers.size(); ++rank) {
      threads.emplace_back([&, rank, &member = members_[static_cast<std::size_t>(everybody[rank])]] {
        member.interrupted.reset();
        member.has_wrong_files = false;
        try {
          must(member.mesh->enter(plan.epoch, peers, std::chrono::seconds(60)));
          if (member.attempt) member.attempt->keep_moved();
          member.attempt.reset();
          member.view =
              std::make_unique<EpochView>(member.job ? *member.job : job_, plan, Rank(static_cast<int>(rank)));
          member.attempt =
              std::make_unique<RegroupAttempt>(*member.mesh, *member.view, member.state, prepared_of(member), [] {});
          member.attempt->run();
        } catch (const WrongFiles& wrong) {
          member.has_wrong_files = true;
          member.interrupted = wrong.error;
          std::this_thread::sleep_for(std::chrono::milliseconds(300));
          announce(plan.epoch.value + 1);
        } catch (const Interrupted& interrupted) {
          member.interrupted = interrupted.error;
          // As the coordinator does: who waits for a plan gets one.
          if (interrupted.error.code == Code::kNewerEpoch) return;
          std::this_thread::sleep_for(std::chrono::milliseconds(300));
          announce(plan.epoch.value + 1);
        } catch (const Died&) {
          const std::lock_guard lock(meshes_);
          member.mesh.reset();
          member.attempt.reset();
          member.state = {};
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  // As workers take over what an attempt brought them.
  void adopt() {
    for (Member& member : members_) {
      if (!member.attempt) continue;
      ASSERT_FALSE(member.interrupted) << to_string(*member.interrupted);
      adopt(member);
    }
  }
  void adopt(Member& member) {
    member.state.store = std::move(member.attempt->store);
    member.state.moved.clear();
    member.state.live = member.attempt->settlement.step;
    member.state.bad = member.attempt->bad;
    if (member.attempt->record) member.state.record = member.attempt->record;
    member.prepared.reset();
    if (member.view->is_donor()) member.state = {};
    member.attempt.reset();
  }
  // Three members in one group, fresh, that have all committed step 1.
  void start() {
    try_next({3});
    adopt();
    for (Member& member : members_) member.commit(1);
  }

  [[nodiscard]] Shard shard_of(int unit, Interval blocks, std::int64_t step) const {
    const Unit& of = job_.units[static_cast<std::size_t>(unit)];
    Shard shard(of, blocks);
    shard.state.zero();
    ops::init_blocks(of, blocks, job_.shape(), job_.spec.seed, shard.master());
    for (std::int64_t i = 0; i < step; ++i) apply_step(shard);
    return shard;
  }
  // Every shard is that of `step`, and no other.
  void expect_step(const Member& member, std::int64_t step) {
    EXPECT_EQ(member.state.live, Step(step));
    for (const auto& [key, shard] : member.state.store.all()) {
      const Shard expected = shard_of(shard->unit, shard->blocks, step);
      EXPECT_TRUE(std::ranges::equal(shard->state.span(), expected.state.span()))
          << "unit " << shard->unit << " blocks " << shard->blocks.lo << " to " << shard->blocks.hi;
    }
  }
  // ... and it holds all that its layout gives it.
  void expect_whole(const Member& member, std::int64_t step) {
    expect_step(member, step);
    for (const Unit& unit : job_.units) {
      for (const Interval& blocks : member.view->kept(unit.index, member.view->self).intervals())
        EXPECT_NE(member.state.store.exactly(unit.index, blocks), nullptr) << "unit " << unit.index;
    }
  }
  void expect_all(std::int64_t step) {
    for (const Member& member : members_) expect_whole(member, step);
  }

  JobConstants job_;
  std::string directory_;
  std::vector<Member> members_{3};
  std::mutex meshes_;  // one of them may end while others are told of a plan
  std::uint64_t epoch_ = 0;
  bool nothing_is_safe_ = false;  // so initial weights are a source
  int faults_ = 0;                // in a row that all members saw, up to the next plan
  bool interrupt_after_roll_forward_ = false;
  std::optional<int> shift_;  // of experts over ranks; each epoch another one
  std::vector<SnapshotDonor> snapshot_donors_;
  std::optional<Step> checkpoint_step_;
};

}  // namespace regroup::testing
