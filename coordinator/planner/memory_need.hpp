// memory_need.hpp: what one worker's memory goes to, in bytes. Pure.
//
// The planner makes no plan that a worker cannot hold, and `regroup plan` tells what a job needs before anything runs.
// The figures follow what the worker allocates, and tests/train/memory_test.cpp compares them with its peak.
#pragma once

#include "api/job_spec.hpp"

#include <cstdint>
#include <string>

namespace regroup::planning {

struct MemoryNeed {
  // master weights of the worker's share; in bf16 also its experts' as they are computed with
  std::int64_t weights = 0;
  std::int64_t moments = 0;  // both of AdamW's
  // of the share: accumulators and nodes of the reduction tree, with those that come from the other groups
  std::int64_t gradients = 0;
  // the dense weights gathered for the step, one microbatch's gradients of them, and what arrives of the others'
  std::int64_t dense = 0;
  // one microbatch, kept for the backward, and the heap's holes between them; the experts' part for an even load
  std::int64_t activations = 0;
  std::int64_t buffers = 0;   // what one layer's backward, or the head, needs on top
  std::int64_t products = 0;  // bf16, with AVX-512: what oneDNN keeps of every shape of product that a process has met
  [[nodiscard]] std::int64_t total() const {
    return weights + moments + gradients + dense + activations + buffers + products;
  }
  // While a worker goes into the next epoch it keeps the old state until all have the new one, and what the old epoch's
  // step loop holds; at most the whole new share is another copy.
  [[nodiscard]] std::int64_t regroup() const {
    return weights + moments + moments / 2 * 3 + gradients + dense + products;
  }
};

// For the heaviest member of a group of `members`, when there are `groups` of them. Left out: the program and its
// libraries, and the snapshots (three times the state, in the node's shared memory).
MemoryNeed memory_need(const JobSpec& job, int members, int groups);

// The larger of the two for a group of `members` ranks, with as many groups as the job may have: what the planner asks
// of a worker.
std::int64_t memory_needed(const JobSpec& job, int members);

}  // namespace regroup::planning
