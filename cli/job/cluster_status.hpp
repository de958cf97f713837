// cluster_status.hpp: what `regroup status` shows, read from etcd once.
#pragma once

#include "api/job_status.hpp"
#include "api/keys.hpp"
#include "api/records.hpp"
#include "store/store.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace regroup::cli {

struct JobLine {
  std::string name;
  std::int64_t steps = 0;
  std::optional<JobStatus> status;
  std::optional<JobOutcome> outcome;
  std::optional<ProgressRecord> progress;      // the newest of any node
  std::optional<CheckpointRecord> checkpoint;  // the newest
};

struct ClusterStatus {
  std::string leader;  // id of the leading coordinator; empty: none
  std::vector<NodeRecord> nodes;
  std::map<std::string, std::string> job_of;  // node -> job
  std::vector<NoticeRecord> notices;
  std::map<std::string, std::string> drained_from;  // node -> job
  std::vector<JobLine> jobs;                        // in order of submission
  std::vector<std::string> unreadable;              // keys whose values are not what they should be
};

// Errors: those of Store::list. What cannot be read is no error, but stands in `unreadable`.
Result<ClusterStatus> read_cluster_status(Store& store, const Keys& keys);
std::string status_text(const ClusterStatus& status);
std::string status_json(const ClusterStatus& status);

}  // namespace regroup::cli
