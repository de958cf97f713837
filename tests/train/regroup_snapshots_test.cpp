// State that comes from agents' snapshots while agents die, stall, or cannot be reached by one member.
#include "api/job_terms.hpp"
#include "tests/checkpoint/support.hpp"
#include "tests/train/fake_agent.hpp"
#include "tests/train/regrouping.hpp"

#include <fstream>

namespace regroup::testing {
namespace {

class FromSnapshots : public Regrouping {
 protected:
  FromSnapshots() {
    job_.spec.heartbeat_ms = 50;  // an agent may be silent for ten of these
    start();
  }
  FakeAgent& agent_with(const std::vector<HeldBlocks>& keeps, std::int64_t step = 1) {
    return agents_.emplace_back("unix:" + directory_ + "/a" + std::to_string(agents_.size()), job_.spec.secret,
                                Step(step), keeps,
                                [this, step](int unit, Interval blocks) { return shard_of(unit, blocks, step); });
  }
  void name_donor(const FakeAgent& agent, int through) {
    snapshot_donors_.push_back({NodeId("spare"), agent.address(), Rank(through)});
  }
  // Member 2 is gone. Gives what it held.
  std::vector<HeldBlocks> lose_third() {
    const auto held = members_[2].state.store.held();
    members_[2].state = {};
    return held;
  }
  // Gives its directory.
  std::string save_checkpoint(std::int64_t step) {
    checkpoint::CheckpointInfo info = checkpoint::info_of(job_.spec.model, step, 1);
    info.job = job_.spec.name;
    info.seed = job_.spec.seed;
    info.data_digest = job_.spec.data_digest;
    std::mt19937_64 random(1);
    const auto state = checkpoint::make_state(job_.spec.model, static_cast<std::uint64_t>(step));
    const auto shares = checkpoint::cut_state(job_.spec.model, state, 1, random);
    auto request = checkpoint::request_of(job_.spec.snapshots.checkpoint_dir, info, shares, 0);
    request.terms = terms_of(job_.spec);
    EXPECT_TRUE(checkpoint::write_part(request));
    checkpoint_step_ = Step(step);
    return checkpoint::commit(request, std::chrono::seconds(10)).value().directory;
  }
  void expect_both(std::int64_t step) {
    for (const int survivor : {0, 1}) {
      Member& member = members_[static_cast<std::size_t>(survivor)];
      ASSERT_FALSE(member.interrupted) << to_string(*member.interrupted);
      EXPECT_EQ(member.attempt->settlement.source, StateSource::kSnapshot);
      adopt(member);
      expect_whole(member, step);
    }
  }

  std::list<FakeAgent> agents_;
};

class AgentFails : public FromSnapshots, public ::testing::WithParamInterface<std::pair<std::string, Reply>> {};

TEST_P(AgentFails, the_next_one_that_keeps_the_blocks_is_asked) {
  const auto lost = lose_third();
  FakeAgent& failing = agent_with(lost);
  FakeAgent& other = agent_with(lost);
  name_donor(failing, 0);
  name_donor(other, 1);
  failing.on_fetch = [](int) { return GetParam().second; };
  try_next({2});
  EXPECT_GT(failing.fetches, 0);
  EXPECT_TRUE(members_[0].state.unanswered.contains(failing.address()) ||
              members_[1].state.unanswered.contains(failing.address()));
  expect_both(1);
}

INSTANTIATE_TEST_SUITE_P(, AgentFails,
                         ::testing::Values(std::pair("error", Reply::kError),
                                           std::pair("wrong_checksum", Reply::kWrongChecksum),
                                           std::pair("end_of_stream", Reply::kEndOfStream),
                                           std::pair("silence", Reply::kSilence),
                                           std::pair("refusal", Reply::kRefusal)),
                         [](const auto& how) { return how.param.first; });

TEST_F(FromSnapshots, what_one_agent_kept_is_put_together_from_several_others) {
  const auto lost = lose_third();
  FakeAgent& failing = agent_with(lost);
  std::vector<HeldBlocks> low, high;
  for (const HeldBlocks& held : lost) {
    low.push_back({held.unit, held.blocks.intersect({{0, 100}})});
    high.push_back({held.unit, held.blocks.intersect({{60, 256}})});
  }
  failing.on_fetch = [](int) { return Reply::kEndOfStream; };
  name_donor(failing, 0);
  name_donor(agent_with(low), 0);
  name_donor(agent_with(high), 1);
  try_next({2});
  expect_both(1);
}

TEST_F(FromSnapshots, several_silent_agents_cost_one_timeout) {
  const auto lost = lose_third();
  for (std::size_t i = 0; i < 4; ++i) {
    std::vector<HeldBlocks> part;
    for (const HeldBlocks& held : lost)
      if (static_cast<std::size_t>(held.unit) % 4 == i) part.push_back(held);
    FakeAgent& silent = agent_with(part);
    silent.on_fetch = [](int) { return Reply::kSilence; };
    name_donor(silent, 0);
  }
  name_donor(agent_with(lost), 1);
  const auto start = std::chrono::steady_clock::now();
  try_next({2});
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(3 * 500));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_GT(std::next(agents_.begin(), static_cast<long>(i))->fetches, 0) << i;
  expect_both(1);
}

TEST_F(FromSnapshots, without_another_holder_it_says_what_it_lacks_and_keeps_what_came) {
  shift_ = 0;
  const auto lost = lose_third();
  FakeAgent& failing = agent_with(lost);
  name_donor(failing, 0);
  const int torn = lost.back().unit;
  failing.on_fetch = [torn](int unit) { return unit == torn ? Reply::kError : Reply::kServe; };
  try_next({2});
  std::string said;
  for (const int survivor : {0, 1}) {
    const auto& interrupted = members_[static_cast<std::size_t>(survivor)].interrupted;
    ASSERT_TRUE(interrupted);
    said += interrupted->context;
  }
  EXPECT_NE(said.find("of unit " + std::to_string(torn) + " at step 1 could be had from no agent"), std::string::npos)
      << said;
  EXPECT_NE(said.find("torn"), std::string::npos) << said;
  failing.on_fetch = [torn](int unit) {
    EXPECT_EQ(unit, torn) << "the rest was there";
    return Reply::kServe;
  };
  try_next({2});
  expect_both(1);
}

TEST_F(FromSnapshots, an_agent_that_one_member_cannot_reach_is_asked_by_another) {
  FakeAgent& agent = agent_with(lose_third());
  name_donor(agent, 0);
  std::atomic<int> lists = 0;
  agent.on_list = [&lists] { return lists++ == 0 ? Reply::kEndOfStream : Reply::kServe; };
  try_next({2});
  EXPECT_EQ(lists, 2);
  expect_both(1);
}

TEST_F(FromSnapshots, while_an_agent_that_may_have_the_rest_is_silent_another_attempt_may_help) {
  FakeAgent& agent = agent_with(lose_third());
  name_donor(agent, 0);
  agent.on_list = [] { return Reply::kSilence; };
  try_next({2});
  for (const int survivor : {0, 1}) {
    const auto& interrupted = members_[static_cast<std::size_t>(survivor)].interrupted;
    ASSERT_TRUE(interrupted);
    EXPECT_EQ(interrupted->code, Code::kPeerLost);
    EXPECT_NE(interrupted->context.find("no answer from the agents at " + agent.address()), std::string::npos)
        << interrupted->context;
  }
  agent.on_list = [] { return Reply::kServe; };
  try_next({2});
  expect_both(1);
}

TEST_F(FromSnapshots, nobody_begins_anew_while_an_agent_that_may_have_the_rest_is_silent) {
  nothing_is_safe_ = true;
  FakeAgent& agent = agent_with(lose_third());
  name_donor(agent, 0);
  agent.on_list = [] { return Reply::kSilence; };
  try_next({2});
  ASSERT_TRUE(members_[0].interrupted);
  EXPECT_EQ(members_[0].interrupted->code, Code::kPeerLost) << to_string(*members_[0].interrupted);
  agent.on_list = [] { return Reply::kServe; };
  try_next({2});
  expect_both(1);
  // And where none is silent, and nobody has the rest, they do.
  snapshot_donors_.clear();
  members_[0].state = {};
  try_next({2});
  EXPECT_EQ(members_[1].attempt->settlement.source, StateSource::kFresh);
}

TEST_F(FromSnapshots, an_agent_that_failed_is_asked_last_in_the_next_attempt) {
  const auto lost = lose_third();
  FakeAgent& failed = agent_with(lost);
  name_donor(failed, 1);
  name_donor(agent_with(lost), 1);
  members_[0].state.unanswered.insert(failed.address());
  try_next({2});
  EXPECT_TRUE(members_[0].state.unanswered.contains(failed.address())) << "it was asked, and answered";
  expect_both(1);
}

TEST_F(FromSnapshots, a_damaged_checkpoint_is_no_reason_to_go_back_behind_a_newer_snapshot) {
  job_.spec.snapshots.checkpoint_dir = directory_ + "/checkpoints";
  std::filesystem::create_directory(job_.spec.snapshots.checkpoint_dir);
  lose_third();
  std::vector<HeldBlocks> all;
  for (const Unit& unit : job_.units) all.push_back({unit.index, {{0, kBlocksPerUnit}}});
  name_donor(agent_with(all, 3), 0);
  save_checkpoint(2);
  for (const auto& file : std::filesystem::directory_iterator(save_checkpoint(4))) {
    if (file.path().filename().string().rfind("optimizer-", 0) != 0) continue;
    std::fstream bytes(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(-1, std::ios::end);
    bytes.put('x');
  }
  try_next({2});
  expect_both(3);
}

}  // namespace
}  // namespace regroup::testing
