// job_terms.hpp: what of a job determines its weights: a checkpoint keeps it, and a job that goes on from the
// checkpoint must agree with it. Pure.
#pragma once

#include "base/ids.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace regroup {

struct JobTerms {
  std::int64_t steps = 0;
  std::int64_t schedule_end = 0;  // the step from which the learning rate falls no more; 0: it never falls
  std::int64_t decay_steps = 0;   // over so many steps before that, where the schedule says so; else 0
  int sample_order = 1;           // 1 and 1 are of the programs that did not say them yet
  int sums = 1;
  std::map<std::string, std::string> values;  // a key of the job file -> what must not change
  friend bool operator==(const JobTerms&, const JobTerms&) = default;
};

// The terms of the steps after `after`, up to the next entry of a chain or the checkpoint's own step.
struct TermsInForce {
  Step after;
  JobTerms terms;
  friend bool operator==(const TermsInForce&, const TermsInForce&) = default;
};
// Ascending. Empty, or beginning after step 0: an older program wrote what came before, and kept no terms.
using TermsChain = std::vector<TermsInForce>;

// What a job that goes on may have changed.
struct MayChange {
  bool steps = false;         // they may have become more
  bool schedule_end = false;  // and it says itself where its schedule ends
  bool numbers = false;       // sample_order and sums
  bool course = false;        // optimizer, with its schedule's end, and data
};

// Why a job of the terms `has` cannot go on from `step` of one that `had` these; empty when it can. `whose`: "the
// checkpoint's job".
std::string contradiction(const std::string& whose, const JobTerms& had, Step step, const JobTerms& has,
                          const MayChange& may);

}  // namespace regroup
