#include "api/job_status.hpp"

#include "base/json_fields.hpp"

namespace regroup {

using json::Field;
using json::Json;

std::string to_json(const JobStatus& status) {
  return json::dump(Json{{"state", kJobStateWords(status.state)},
                         {"reason", status.reason},
                         {"epoch", status.epoch.value},
                         {"members", status.members},
                         {"notes", status.notes},
                         {"coordinator", status.coordinator}});
}

std::string to_json(const JobOutcome& outcome) {
  return json::dump(Json{{"state", kJobStateWords(outcome.state)},
                         {"reason", outcome.reason},
                         {"step", outcome.step.value},
                         {"weights_sha256", outcome.weights_sha256}});
}

Result<JobStatus> job_status_from_json(const std::string& text) {
  return json::read_json(text, "status", [](const Field& in) {
    JobStatus status;
    status.state = in["state"].word(kJobStateWords);
    status.reason = in["reason"].string();
    status.epoch = in["epoch"].id<Epoch>();
    for (const Field& member : in["members"].items()) status.members.push_back(member.string());
    for (const Field& note : in["notes"].items()) status.notes.push_back(note.string());
    status.coordinator = in["coordinator"].string();
    return status;
  });
}

Result<JobOutcome> job_outcome_from_json(const std::string& text) {
  return json::read_json(text, "outcome", [](const Field& in) {
    JobOutcome outcome;
    outcome.state = in["state"].word(kJobStateWords);
    outcome.reason = in["reason"].string();
    outcome.step = in["step"].id<Step>();
    outcome.weights_sha256 = in["weights_sha256"].string();
    return outcome;
  });
}

}  // namespace regroup
