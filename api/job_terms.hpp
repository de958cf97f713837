// job_terms.hpp: a job's terms, and whether they were kept from its first step on. Pure.
#pragma once

#include "api/job_spec.hpp"
#include "layout/job_terms.hpp"

namespace regroup {

// With the numbers of this program (orders.hpp).
JobTerms terms_of(const JobSpec& job);

// What an older program wrote, with the keys that it did not know yet: it computed as their defaults say.
JobTerms with_defaults(JobTerms terms);

MayChange may_change(const JobSpec& job);

// Steps were computed with another optimizer or other data than this job's. Such weights are not those of this job from
// the start.
bool terms_changed(const TermsChain& chain, const JobSpec& job);

// The learning rate of some step up to `done` was another than this job's: its schedule's end was changed later. Such
// weights are not those of this job from the start.
bool schedule_ended_anew(const TermsChain& chain, Step done, const JobSpec& job);

}  // namespace regroup
