// job_data.hpp: the data sets of a job, opened, if they are those that the job was submitted with.
#pragma once

#include "api/job_spec.hpp"
#include "moe/data/dataset.hpp"

#include <memory>

namespace regroup {

struct JobData {
  std::unique_ptr<Dataset> training;
  std::unique_ptr<Dataset> validation;  // null where the job has none
};

// As Dataset::open; kBadInput also when a set's digest is not the one pinned at submit. The text says which set.
Result<JobData> open_job_data(const JobSpec& job);

}  // namespace regroup
