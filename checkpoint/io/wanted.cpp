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

std::string computed_elsewhere(const Manifest& manifest, const JobSpec& job, const std::string& fingerprint) {
  const std::string& theirs = manifest.info.fingerprint;
  if (job.allow_mixed_fingerprints || fingerprint.empty() || theirs == fingerprint) return {};
  return "was computed by workers of the fingerprint " + theirs + ", these have " + fingerprint +
         ": the bits from here on would be others; give the nodes the same software and hardware, or set "
         "allow_mixed_fingerprints";
}

}  // namespace regroup::checkpoint
