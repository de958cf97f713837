#include "api/worker_protocol.hpp"

#include "net/framed_socket.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <thread>

namespace regroup {
namespace {

const WorkerId kWorker{NodeId("n1"), 0xfedcba9876543210ull, 2, 3};

std::pair<int, int> socket_pair() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  return {ends[0], ends[1]};
}

template <class Message>
Message there_and_back(const Message& message) {
  auto back = from_worker_from_json(to_json(FromWorker(message)));
  EXPECT_TRUE(back) << to_json(FromWorker(message));
  return std::get<Message>(*back);
}

TEST(WorkerProtocol, a_commit_with_a_loss_that_is_no_number_arrives) {
  Committed sent;
  const BadSteps bad{5, 2};
  const std::map<StepPhase, double> phases{{StepPhase::kGather, 0.1}, {StepPhase::kVote, 0.002}};
  sent.report = {Epoch(7), Step(41),  std::numeric_limits<double>::quiet_NaN(),
                 0.25,     0.125,     1.5,
                 3e-4,     4096,      0.5,
                 phases,   {1, 2, 3}, 1.25,
                 bad};
  const auto got = there_and_back(sent).report;
  EXPECT_TRUE(std::isnan(got.loss));
  EXPECT_EQ(got.epoch, Epoch(7));
  EXPECT_EQ(got.z_loss, 0.125);
  EXPECT_EQ(got.bad, bad);
  EXPECT_EQ(got.step, Step(41));
  EXPECT_EQ(got.phases, sent.report.phases);
  EXPECT_EQ(got.expert_load, sent.report.expert_load);
  EXPECT_EQ(got.tokens, 4096);
}

TEST(WorkerProtocol, every_message_of_a_worker_keeps_its_fields) {
  EXPECT_EQ(there_and_back(Hello{"unix:/tmp/a", 17, "print"}).address, "unix:/tmp/a");
  const auto state = there_and_back(StateChanged{WorkerState::kWarm, Epoch(5), "waits"});
  EXPECT_EQ(state.state, WorkerState::kWarm);
  EXPECT_EQ(state.epoch, Epoch(5));
  const auto suspects = there_and_back(Suspects{Epoch(4), {{kWorker, Evidence::kEof, 123456}}});
  ASSERT_EQ(suspects.suspicions.size(), 1u);
  EXPECT_EQ(suspects.suspicions[0].whom, kWorker);
  EXPECT_EQ(suspects.suspicions[0].evidence, Evidence::kEof);
  Regrouped regrouped;
  regrouped.report.source = StateSource::kSnapshot;
  regrouped.report.move_ms = 2.5;
  regrouped.report.steps_lost = 3;
  EXPECT_EQ(there_and_back(regrouped).report.source, StateSource::kSnapshot);
  EXPECT_EQ(there_and_back(regrouped).report.steps_lost, 3);
  SnapshotTaken taken;
  taken.info = {Step(9), Epoch(2), 1, {}, Step(7), {4, 1}};
  taken.info.entries = {{0, {0, 128}, 0}, {3, {5, 9}, 4096}};
  taken.make_durable = true;
  taken.num_parts = 4;
  taken.group = 1;
  taken.part = 2;
  taken.to_write = {{3, {5, 7}, 4096}};
  const auto got = there_and_back(taken);
  EXPECT_EQ(got.info.entries, taken.info.entries);
  EXPECT_EQ(got.info.safe, Step(7));
  EXPECT_EQ(got.info.bad, (BadSteps{4, 1}));
  EXPECT_EQ(got.to_write, taken.to_write);
  EXPECT_TRUE(got.make_durable);
  EXPECT_EQ(got.part, 2);
  EXPECT_EQ(got.group, 1);
  EXPECT_EQ(there_and_back(NeedArena{2, 1ll << 33}).bytes, 1ll << 33);
  EXPECT_EQ(there_and_back(Finished{Step(60), "ab"}).weights_sha256, "ab");
  EXPECT_TRUE(there_and_back(Finished{Step(60), "ab", true}).is_saved);
  const auto validated = there_and_back(Validated{Epoch(2), Step(50), 1.0 / 3, 4096, 0.5});
  EXPECT_EQ(validated.step, Step(50));
  EXPECT_EQ(validated.loss, 1.0 / 3);
  EXPECT_EQ(validated.targets, 4096);
  EXPECT_EQ(there_and_back(Stopped{Epoch(4), Step(7)}).epoch, Epoch(4));
  EXPECT_EQ(there_and_back(Stopped{Epoch(4), Step(7)}).step, Step(7));
  there_and_back(WeightsRefused{});
  EXPECT_EQ(there_and_back(GaveUp{Step(7), "why"}).reason, "why");
  EXPECT_EQ(there_and_back(Fault{"broke \xff here"}).text.substr(0, 6), "broke ");
}

TEST(WorkerProtocol, every_message_of_an_agent_keeps_its_fields) {
  JobSpec job;
  job.name = "tiny";
  job.secret = "00ff";
  job.steps = 60;
  auto welcome = to_worker_from_json(to_json(ToWorker(Welcome{job, kWorker, "unix:/m", "unix:/a", Epoch(8)})));
  ASSERT_TRUE(welcome);
  EXPECT_EQ(std::get<Welcome>(*welcome).job, job);
  EXPECT_EQ(std::get<Welcome>(*welcome).self, kWorker);
  EXPECT_EQ(std::get<Welcome>(*welcome).highest_epoch, Epoch(8));
  EXPECT_TRUE(std::get<Welcome>(*welcome).peer_memory);
  welcome = to_worker_from_json(to_json(ToWorker(Welcome{job, kWorker, "unix:/m", "unix:/a", Epoch(8), "", false})));
  ASSERT_TRUE(welcome);
  EXPECT_FALSE(std::get<Welcome>(*welcome).peer_memory);
  EXPECT_FALSE(std::get<Welcome>(*welcome).storage_proven);
  welcome = to_worker_from_json(
      to_json(ToWorker(Welcome{job, kWorker, "unix:/m", "unix:/a", Epoch(8), "", true, true, true})));
  ASSERT_TRUE(welcome);
  EXPECT_TRUE(std::get<Welcome>(*welcome).storage_proven && std::get<Welcome>(*welcome).weights_doubted);
  auto dial = to_worker_from_json(to_json(ToWorker(DialPeers{Epoch(3), {{kWorker, "unix:/m", "unix:/a"}}})));
  ASSERT_TRUE(dial);
  EXPECT_EQ(std::get<DialPeers>(*dial).peers.at(0).worker, kWorker);
  Plan plan;
  plan.epoch = Epoch(3);
  plan.job = "tiny";
  plan.members = {{kWorker, "unix:/m", "unix:/a"}};
  auto told = to_worker_from_json(to_json(ToWorker(NewPlan{plan})));
  ASSERT_TRUE(told);
  EXPECT_EQ(std::get<NewPlan>(*told).plan, plan);
  const auto answer = std::get<SnapshotAnswer>(
      *to_worker_from_json(to_json(ToWorker(SnapshotAnswer{Step(4), Epoch(9), SnapshotNews::kSaveEnded}))));
  EXPECT_EQ(answer.step, Step(4));
  EXPECT_EQ(answer.epoch, Epoch(9));
  EXPECT_EQ(answer.news, SnapshotNews::kSaveEnded);
  EXPECT_FALSE(to_worker_from_json(R"({"type": "snapshot_answer", "step": 1, "epoch": 1, "news": 7})"));
  EXPECT_EQ(std::get<StopWorker>(*to_worker_from_json(to_json(ToWorker(StopWorker{"drained"})))).reason, "drained");
}

TEST(WorkerProtocol, nonsense_is_an_error_that_says_what) {
  for (const char* text : {"", "[]", "{}", "{\"type\":5}", "{\"type\":\"hello\"}",
                           "{\"type\":\"state_changed\",\"state\":99,\"epoch\":0,\"text\":\"\"}", "\xff\xfe"}) {
    auto got = from_worker_from_json(text);
    ASSERT_FALSE(got) << text;
    EXPECT_EQ(got.error().code, Code::kCorrupt);
    EXPECT_FALSE(to_worker_from_json(text)) << text;
  }
}

TEST(FramedSocket, a_long_message_and_a_descriptor_arrive_together) {
  auto [a, b] = socket_pair();
  FramedSocket left(a), right(b);
  const int memory = ::memfd_create("arena", MFD_CLOEXEC);
  ASSERT_EQ(::write(memory, "state", 5), 5);
  const std::string text(3 << 20, 'x');
  std::thread sender([&] {
    EXPECT_TRUE(left.send(text, memory));
    EXPECT_TRUE(left.send("{}"));
  });
  auto got = right.receive();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->first, text);
  ASSERT_GE(got->second, 0);
  char seen[6] = {};
  EXPECT_EQ(::pread(got->second, seen, 5, 0), 5);
  EXPECT_STREQ(seen, "state");
  auto next = right.receive();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->first, "{}");
  EXPECT_EQ(next->second, -1);
  sender.join();
  ::close(got->second);
  ::close(memory);
}

TEST(FramedSocket, the_end_of_the_stream_and_a_shutdown_wake_the_reader) {
  auto [a, b] = socket_pair();
  FramedSocket right(b);
  { FramedSocket left(a); }
  auto got = right.receive();
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::kPeerLost);
  auto [c, d] = socket_pair();
  FramedSocket quiet(c), reader(d);
  std::thread stopper([&reader] { reader.shut_down(); });
  EXPECT_FALSE(reader.receive());
  stopper.join();
}

TEST(FramedSocket, a_length_that_no_message_has_is_refused) {
  auto [a, b] = socket_pair();
  FramedSocket right(b);
  ASSERT_EQ(::write(a, "\xff\xff\xff\xff", 4), 4);
  auto got = right.receive();
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::kCorrupt);
  ::close(a);
}

}  // namespace
}  // namespace regroup
