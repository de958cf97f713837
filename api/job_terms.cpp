#include "api/job_terms.hpp"

#include "api/json_values.hpp"
#include "api/orders.hpp"

#include <algorithm>

namespace regroup {
namespace {

// Its own words, whatever the type: 0.001, true, null, cosine.
std::string text_of(const json::Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

// Up to this step the learning rate does not depend on where the schedule ends.
std::int64_t last_step_before_the_fall(const JobSpec& job, std::int64_t end, std::int64_t decay_steps) {
  return job.optimizer.schedule == ScheduleKind::kWsd ? end - decay_steps : job.optimizer.warmup_steps;
}

}  // namespace

JobTerms terms_of(const JobSpec& job) {
  JobTerms terms;
  terms.steps = job.steps;
  if (job.optimizer.schedule != ScheduleKind::kConstant) terms.schedule_end = schedule_end(job);
  terms.decay_steps = job.optimizer.decay_steps;
  terms.sample_order = kSampleOrder;
  terms.sums = kSums;
  const json::Json all = to_value(job);
  for (const char* key : {"seed", "precision", "microbatches", "chains", "sequences_per_microbatch", "sequence_length"})
    terms.values[key] = text_of(all[key]);
  for (const auto& [key, value] : all["model"].items()) terms.values["model." + key] = text_of(value);
  for (const char* key : {"learning_rate", "min_learning_rate", "beta1", "beta2", "epsilon", "weight_decay",
                          "clip_norm", "warmup_steps", "schedule"})
    terms.values[std::string("optimizer.") + key] = text_of(all["optimizer"][key]);
  terms.values["model's start weights"] =
      job.initial_digest.empty() ? "those drawn from the seed" : "those of digest " + job.initial_digest;
  terms.values["data"] = "an index of digest " + job.data_digest;
  terms.values["separate_documents"] = text_of(job.separate_documents);
  terms.values["router_z_loss_coef"] = text_of(job.router_z_loss_coef);
  return terms;
}

JobTerms with_defaults(JobTerms terms) {
  terms.values.merge(terms_of(JobSpec{}).values);
  return terms;
}

MayChange may_change(const JobSpec& job) {
  return {job.lengthens, job.optimizer.schedule_steps > 0, job.allow_mixed_fingerprints, job.changes_terms};
}

bool terms_changed(const TermsChain& chain, const JobSpec& job) {
  const JobTerms now = terms_of(job);
  return std::any_of(chain.begin(), chain.end(),
                     [&](const TermsInForce& then) { return with_defaults(then.terms).values != now.values; });
}

bool schedule_ended_anew(const TermsChain& chain, Step done, const JobSpec& job) {
  const JobTerms now = terms_of(job);
  if (now.schedule_end == 0) return false;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const JobTerms& then = chain[i].terms;
    if (then.schedule_end == now.schedule_end && then.decay_steps == now.decay_steps) continue;
    const Step last = i + 1 < chain.size() ? chain[i + 1].after : done;
    if (last.value > std::min(last_step_before_the_fall(job, then.schedule_end, then.decay_steps),
                              last_step_before_the_fall(job, now.schedule_end, now.decay_steps)))
      return true;
  }
  return false;
}

}  // namespace regroup
