// What a worker tells its agent of itself. The worker is a process of its own: the end of its socket ends it.
#include "moe/worker/agent_link.hpp"

#include "net/framed_socket.hpp"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace regroup::testing {
namespace {

const WorkerId kSelf{NodeId("node-1"), 1, 0, 0};

class AgentLinkTest : public ::testing::Test {
 protected:
  AgentLinkTest() {
    char pattern[] = "/tmp/regroup-link-XXXXXX";
    directory_ = mkdtemp(pattern);
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends_), 0);
    EXPECT_EQ(::pipe(go_on_), 0);
  }
  ~AgentLinkTest() override {
    agent_.reset();
    if (worker_ > 0) ::waitpid(worker_, nullptr, 0);
    std::filesystem::remove_all(directory_);
  }

  // `warm`: it is told to get warm, and is, before it asks for its first plan; else it asks first. `saves`: it enters
  // that plan and waits for a save of its own.
  void start(bool warm, bool saves = false, bool lacks = false) {
    worker_ = ::fork();
    if (worker_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::close(ends_[0]);
      AgentLink link(ends_[1]);
      mesh::Options options;
      options.self = kSelf;
      options.listen = "unix:" + directory_ + "/mesh";
      options.secret = link.wait_welcome().job.secret;
      const auto mesh = mesh::Mesh::open(options, {}).value();
      link.attach(mesh.get());
      link.state(WorkerState::kReady);
      char byte = 0;
      if (warm && ::read(go_on_[0], &byte, 1) != 1) ::_exit(1);
      link.wait_for_plan(Epoch(0), {lacks ? "a source" : "the first plan", lacks}, [] { return true; });
      bool is_saving = false;
      if (saves) {
        link.entered(Epoch(1), {kSelf});
        link.expect_answer({Step(1), Epoch(1)}, true);
        link.state(WorkerState::kTraining);
        link.wait_durable();
        is_saving = link.saving();
      }
      link.send(Finished{Step(1), is_saving ? "a save is under way" : ""});
      ::pause();
    }
    ::close(ends_[1]);
    agent_ = std::make_unique<FramedSocket>(ends_[0]);
    JobSpec job;
    job.name = "job";
    job.secret = std::string(64, 'a');
    tell(Welcome{job, kSelf, "", "", Epoch(0), ""});
  }
  void tell(const ToWorker& message) { ASSERT_TRUE(agent_->send(to_json(message))); }
  void go_on() { ASSERT_EQ(::write(go_on_[1], "x", 1), 1); }
  // The next change of state; nullopt when it has its plan instead.
  std::optional<StateChanged> next_state() {
    for (;;) {
      const auto message = from_worker_from_json(agent_->receive().value().first).value();
      if (const auto* state = std::get_if<StateChanged>(&message)) return *state;
      if (std::holds_alternative<Finished>(message)) return std::nullopt;
    }
  }
  std::string finished() {
    for (;;) {
      const auto message = from_worker_from_json(agent_->receive().value().first).value();
      if (const auto* done = std::get_if<Finished>(&message)) return done->weights_sha256;
    }
  }
  static NewPlan plan_of(Epoch epoch, When when) {
    Plan plan;
    plan.job = "job";
    plan.epoch = epoch;
    plan.when = when;
    return {plan};
  }
  static NewPlan first_plan() { return plan_of(Epoch(1), When::kNow); }

  std::string directory_;
  int ends_[2], go_on_[2];
  pid_t worker_ = -1;
  std::unique_ptr<FramedSocket> agent_;
};

TEST_F(AgentLinkTest, a_worker_that_waits_for_its_first_plan_says_so_and_then_that_it_is_warm) {
  start(false);
  EXPECT_EQ(next_state()->state, WorkerState::kReady);
  const auto waits = next_state();
  EXPECT_EQ(waits->state, WorkerState::kWaiting);
  EXPECT_EQ(waits->text, "the first plan");
  tell(DialPeers{Epoch(3), {}});
  const auto warm = next_state();
  EXPECT_EQ(warm->state, WorkerState::kWarm);
  EXPECT_EQ(warm->epoch, Epoch(3));
  tell(first_plan());
  EXPECT_FALSE(next_state());
}

TEST_F(AgentLinkTest, a_worker_that_lacks_a_source_looks_for_it_and_says_when_it_is_there) {
  start(false, false, true);
  EXPECT_EQ(next_state()->state, WorkerState::kReady);
  const auto lacks = next_state();
  EXPECT_EQ(lacks->state, WorkerState::kWaiting);
  EXPECT_TRUE(lacks->lacks);
  const auto found = next_state();
  EXPECT_EQ(found->state, WorkerState::kWaiting);
  EXPECT_FALSE(found->lacks);
  EXPECT_NE(found->text.find("(a source)"), std::string::npos) << found->text;
  tell(first_plan());
  EXPECT_FALSE(next_state());
}

// A coordinator lets nobody join who is not warm: what it was told last counts.
TEST_F(AgentLinkTest, a_worker_that_is_warm_before_it_waits_stays_warm) {
  start(true);
  EXPECT_EQ(next_state()->state, WorkerState::kReady);
  tell(DialPeers{Epoch(3), {}});
  EXPECT_EQ(next_state()->state, WorkerState::kWarm);
  go_on();
  tell(first_plan());
  const auto after = next_state();
  EXPECT_FALSE(after) << to_string(after->state);
}

// Who joins at the next boundary does not cut short the last step's save; who must regroup at once does not wait for
// it.
TEST_F(AgentLinkTest, a_save_is_awaited_though_there_is_a_plan_for_the_next_boundary) {
  start(false, true);
  tell(first_plan());
  while (next_state()->state != WorkerState::kTraining) continue;
  tell(plan_of(Epoch(2), When::kBoundary));
  tell(SnapshotAnswer{Step(1), Epoch(1), SnapshotNews::kSaveEnded});
  EXPECT_EQ(finished(), "");
}

TEST_F(AgentLinkTest, a_plan_for_at_once_ends_the_wait_for_a_save) {
  start(false, true);
  tell(first_plan());
  while (next_state()->state != WorkerState::kTraining) continue;
  tell(plan_of(Epoch(2), When::kNow));
  EXPECT_EQ(finished(), "a save is under way");
}

}  // namespace
}  // namespace regroup::testing
