#include "moe/worker/job_data.hpp"

#include <string>
#include <utility>

namespace regroup {

Result<JobData> open_job_data(const JobSpec& job) {
  auto data = Dataset::open(data_sources(job), job.model.vocab_size, job.sequence_length, job.seed);
  if (!data) return data.error();
  JobData opened;
  opened.training = std::move(*data);
  if (!job.data_digest.empty() && opened.training->digest() != job.data_digest) {
    return Error{Code::kBadInput, "the data at " + data_sources(job).front().prefix +
                                      (job.data_mix.empty() ? "" : " or of another set of the mix") +
                                      " is not what the job was submitted with (digest " + opened.training->digest() +
                                      ", expected " + job.data_digest + ")"};
  }
  if (job.validation.due_at_all()) {
    auto validation = Dataset::open(job.validation.data_prefix, job.model.vocab_size, job.sequence_length, job.seed);
    if (!validation) return validation.error().within("validation");
    opened.validation = std::move(*validation);
    if (!job.validation.data_digest.empty() && opened.validation->digest() != job.validation.data_digest) {
      return Error{Code::kBadInput, "the validation data at " + job.validation.data_prefix +
                                        " is not what the job was submitted with (digest " +
                                        opened.validation->digest() + ", expected " + job.validation.data_digest + ")"};
    }
  }
  return opened;
}

}  // namespace regroup
