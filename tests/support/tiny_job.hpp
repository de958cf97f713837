// tiny_job.hpp: a small model, job and plan that pass every check. A test changes what its situation needs, or breaks
// one thing.
#pragma once

#include "api/job_spec.hpp"
#include "api/plan.hpp"

namespace regroup::testing {

inline ModelShape tiny_shape() {
  return {.vocab_size = 260,  // a unit is no multiple of its blocks: it ends in padding
          .hidden_size = 64,
          .intermediate_size = 96,
          .num_hidden_layers = 2,
          .num_attention_heads = 4,
          .num_key_value_heads = 2,
          .head_dim = 16,
          .num_local_experts = 4,
          .num_experts_per_tok = 2,
          .max_position_embeddings = 128};
}

inline JobSpec tiny_job() {
  JobSpec job;
  job.name = "tiny";
  job.secret = "00ff";
  job.model = tiny_shape();
  job.seed = 0xfedcba9876543210ull;
  job.data_prefix = "/data/text";
  job.data_digest = "abc";
  job.steps = 60;
  job.microbatches = 16;
  job.chains = 8;
  job.sequences_per_microbatch = 2;
  job.sequence_length = 64;
  return job;
}

inline Participant tiny_participant(const std::string& node) {
  return {WorkerId{NodeId(node), 0x1234567890abcdefull, 0, 3}, "unix:/run/" + node, "tcp:127.0.0.1:7000"};
}

// Three members in two groups (2 + 1), one donor, one snapshot donor.
inline Plan tiny_plan() {
  Plan plan;
  plan.epoch = Epoch(7);
  plan.parent = Epoch(6);
  plan.job = "tiny";
  plan.origin = Origin::kResume;
  plan.when = When::kBoundary;
  plan.cause = Cause::kJoin;
  plan.reason = "node d is warm";
  plan.members = {tiny_participant("a"), tiny_participant("b"), tiny_participant("c")};
  plan.placement.groups = {
      {{Rank(0), Rank(2)}, {{{0, 100}, {200, 256}}, {{100, 200}}}, {0, 1, 0, 1, 1, 0, 1, 0}, 0, 5},
      {{Rank(1)}, {{{0, 256}}}, {0, 0, 0, 0, 0, 0, 0, 0}, 5, 8},
  };
  plan.donors = {tiny_participant("d")};
  plan.snapshot_donors = {{NodeId("e"), "unix:/run/e-agent", Rank(1)}};
  plan.checkpoint_step = Step(40);
  plan.checkpoint_path = "/ckpt/step-40.e5";
  plan.detected_at_ms = 1700000000000;
  plan.decided_at_ms = 1700000000005;
  return plan;
}

}  // namespace regroup::testing
