#include "tests/train/cluster.hpp"

#include "moe/data/dataset.hpp"
#include "moe/ops/machine.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/worker/initial_digest.hpp"
#include "tests/support/tiny_job.hpp"

#include <c10/core/InferenceMode.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <thread>

namespace regroup::testing {
void write_data(const std::string& prefix, int vocab_size, int longest) {
  constexpr std::int32_t kTokens = 20000;
  std::ofstream bin(prefix + ".bin", std::ios::binary);
  std::uint64_t state = 88172645463325252ull;
  for (int i = 0; i < kTokens; ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    // Some structure, so that the loss can fall and experts differ in popularity.
    const auto token = static_cast<std::uint16_t>((state % 7 == 0 ? state >> 20 : static_cast<std::uint64_t>(i) * 3) %
                                                  static_cast<std::uint64_t>(vocab_size));
    bin.write(reinterpret_cast<const char*>(&token), sizeof token);
  }
  std::ofstream idx(prefix + ".idx", std::ios::binary);
  const auto put = [&](auto value) { idx.write(reinterpret_cast<const char*>(&value), sizeof value); };
  idx.write("MMIDIDX\0\0", 9);
  std::vector<std::int32_t> lengths;
  for (std::int32_t begin = 0; begin < kTokens; begin += lengths.back())
    lengths.push_back(longest == 0
                          ? kTokens
                          : std::min(kTokens - begin, 1 + static_cast<std::int32_t>(lengths.size()) * 7919 % longest));
  put(std::uint64_t{1});
  put(std::uint8_t{8});
  put(std::uint64_t{lengths.size()});
  put(std::uint64_t{lengths.size() + 1});
  for (const std::int32_t length : lengths) put(length);
  std::int64_t byte = 0;
  for (const std::int32_t length : lengths) {
    put(byte);
    byte += 2 * length;
  }
  for (std::size_t i = 0; i <= lengths.size(); ++i) put(static_cast<std::int64_t>(i));
}

JobSpec training_job(const std::string& data_prefix) {
  JobSpec job = tiny_job();
  job.model.vocab_size = 96;
  job.model.hidden_size = 32;
  job.model.intermediate_size = 48;
  job.model.head_dim = 8;
  job.model.num_local_experts = 8;
  job.model.max_position_embeddings = 64;
  job.seed = 7;
  job.data_prefix = data_prefix;
  job.data_digest.clear();  // a test writes its data itself
  job.steps = 1000;
  job.sequence_length = 24;
  job.optimizer.warmup_steps = 2;
  job.optimizer.learning_rate = 3e-3;
  job.elastic.max_groups = 4;
  return job;
}

struct Cluster::Node {
  WorkerId id;
  std::unique_ptr<mesh::Mesh> mesh;
  std::unique_ptr<Trace> trace;
  std::unique_ptr<Dataset> data, validation_data;
  std::int64_t dies_after_step = -1;
  int operators_left = 0;
  CarriedState state;
  FloatPool pool;
  std::unique_ptr<EpochView> view;
  std::unique_ptr<StepRunner> runner;
};

Cluster::Cluster(JobSpec job, int workers, std::string directory)
    : job_(std::move(job)), directory_(std::move(directory)) {
  ops::settle_arithmetic();
  for (int i = 0; i < workers; ++i) {
    auto node = std::make_unique<Node>();
    node->id = {NodeId("node-" + std::to_string(i)), 1, 0, 0};
    mesh::Options options;
    options.self = node->id;
    options.listen = "unix:" + directory_ + "/m" + std::to_string(i);
    options.secret = job_.spec.secret;
    // Threads of one test share two cores: silence is not what is tested here.
    options.heartbeat = std::chrono::milliseconds(5000);
    node->mesh = mesh::Mesh::open(options, {}).value();
    node->data =
        Dataset::open(data_sources(job_.spec), job_.spec.model.vocab_size, job_.spec.sequence_length, job_.spec.seed)
            .value();
    const ValidationSpec& validation = job_.spec.validation;
    if (validation.due_at_all())
      node->validation_data =
          Dataset::open(validation.data_prefix, job_.spec.model.vocab_size, job_.spec.sequence_length, job_.spec.seed)
              .value();
    nodes_.push_back(std::move(node));
  }
}

Cluster::~Cluster() = default;

const ShardStore& Cluster::store(int worker) const { return nodes_[static_cast<std::size_t>(worker)]->state.store; }

const BadSteps& Cluster::bad(int worker) const { return nodes_[static_cast<std::size_t>(worker)]->state.bad; }

void Cluster::die_in_validation(int worker, std::int64_t step, int after_operators) {
  nodes_[static_cast<std::size_t>(worker)]->dies_after_step = step;
  nodes_[static_cast<std::size_t>(worker)]->operators_left = after_operators;
}

void Cluster::trace_into(const std::string& directory) {
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    nodes_[i]->trace =
        std::make_unique<Trace>(job_.spec.profile, directory + "/" + std::to_string(i) + ".json", nodes_[i]->id);
}

void Cluster::lose(int worker) {
  Node& node = *nodes_[static_cast<std::size_t>(worker)];
  node.runner.reset();
  node.state = {};
}

std::string Cluster::train(const Placement& placement, const std::vector<int>& members, std::int64_t until,
                           const std::vector<int>& donors) {
  Plan plan;
  plan.parent = Epoch(epoch_);
  plan.epoch = Epoch(++epoch_);
  plan.job = job_.spec.name;
  plan.origin = epoch_ == 1 ? Origin::kFresh : Origin::kResume;
  plan.placement = placement;
  std::vector<mesh::Peer> peers;
  const auto participant = [&](int number) {
    const Node& node = *nodes_[static_cast<std::size_t>(number)];
    peers.push_back({node.id, node.mesh->address()});
    return Participant{node.id, node.mesh->address(), {}};
  };
  for (const int number : members) plan.members.push_back(participant(number));
  for (const int number : donors) plan.donors.push_back(participant(number));
  std::vector<int> everybody = members;
  everybody.insert(everybody.end(), donors.begin(), donors.end());

  std::string digest, failure;
  std::mutex mutex;
  bytes_moved_ = 0;
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < everybody.size(); ++rank) {
    threads.emplace_back([&, rank] {
      const c10::InferenceMode inference;
      Node& node = *nodes_[static_cast<std::size_t>(everybody[rank])];
      try {
        must(node.mesh->enter(plan.epoch, peers, std::chrono::seconds(60)));
        auto view = std::make_unique<EpochView>(job_, plan, Rank(static_cast<int>(rank)));
        RegroupAttempt attempt(*node.mesh, *view, node.state, node.runner ? node.runner->prepared() : Prepared{},
                               [] {});
        attempt.run();
        {
          const std::lock_guard lock(mutex);
          bytes_moved_ += attempt.bytes_received;
          if (rank == 0) sources_.push_back(attempt.settlement.source.value());
        }
        node.runner.reset();
        node.state.store = std::move(attempt.store);
        node.state.live = attempt.settlement.step;
        node.state.bad = attempt.bad;
        if (rank == 0 && attempt.validation != node.state.validation) validations_.push_back(attempt.validation);
        node.state.validation = attempt.validation;
        node.view = std::move(view);
        if (node.view->is_donor()) {
          node.state = {};
          return;
        }
        StepHooks hooks;
        bool validating = false;
        hooks.interrupt = [&] {
          if (validating && node.state.live->value == node.dies_after_step && --node.operators_left < 0)
            throw Interrupted{{Code::kInternal, "dies here"}};
        };
        hooks.planned = [] { return std::uint64_t{0}; };
        hooks.snapshot = [] { return SnapshotVote::kNoneSafe; };
        hooks.saving = [] { return false; };
        hooks.before_update = [] {};
        hooks.trace = node.trace.get();
        node.runner = std::make_unique<StepRunner>(*node.view, *node.mesh, node.state.store, *node.data,
                                                   node.validation_data.get(), node.pool, hooks, node.state.bad);
        if (attempt.settlement.source == StateSource::kFresh)
          check_initial_weights(*node.runner, *node.view, *node.mesh);
        for (;;) {
          const std::int64_t live = node.state.live->value;
          if (job_.spec.validation.due(live, job_.spec.steps) && node.state.validation.step < live) {
            validating = true;
            node.state.validation = node.runner->validate(Step(live));
            validating = false;
            if (rank == 0) validations_.push_back(node.state.validation);
          }
          if (live >= until) break;
          CommitReport report;
          node.state.record = node.runner->run(Step(node.state.live->value + 1), report);
          node.state.live = Step(node.state.live->value + 1);
          node.state.bad = node.runner->bad();
          if (rank == 0) losses_.push_back(report.loss);
        }
        const std::vector<std::string> of_groups = node.runner->weights_digest(*node.state.live);
        const std::lock_guard lock(mutex);
        for (const std::string& mine : of_groups) {
          if (digest.empty()) digest = mine;
          if (digest != mine) failure = "rank " + std::to_string(rank) + " says another digest";
        }
      } catch (const Interrupted& interrupted) {
        const std::lock_guard lock(mutex);
        failure = "rank " + std::to_string(rank) + ": " + to_string(interrupted.error);
        if (node.dies_after_step >= 0) node.mesh.reset();  // the others see the end of their connections
        std::fprintf(stderr, "%s\n", failure.c_str());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return failure.empty() ? digest : failure;
}

}  // namespace regroup::testing
