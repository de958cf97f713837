#include "checkpoint/io/wanted.hpp"

#include "api/job_terms.hpp"

namespace regroup::checkpoint {

CheckpointWanted wanted_by(const JobSpec& job) {
  CheckpointWanted wanted;
  wanted.job = job.name;
  wanted.shape = job.model;
  wanted.data_digest = job.data_digest;
  wanted.terms = terms_of(job);
  wanted.may = may_change(job);
  wanted.seed = job.seed;
  return wanted;
}

}  // namespace regroup::checkpoint
