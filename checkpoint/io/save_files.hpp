// save_files.hpp: names inside a checkpoint's directory that the parts of one save share.
#pragma once

#include "checkpoint/core/retention.hpp"
#include "checkpoint/io/save.hpp"

#include <string>

namespace regroup::checkpoint {

inline std::string directory_of(const SaveRequest& request) {
  return request.root + "/" + to_directory({request.info.step, request.info.epoch});
}
inline std::string part_record_path(const std::string& directory, int part) {
  return directory + "/part-" + std::to_string(part) + ".json";
}
// A save that failed can never be completed, and its space may be what is missing: its directory goes. One that was
// stopped or met files of another save (kNewerEpoch, kConflict) stays, and so does one that has a manifest. Renamed
// first, so that the other parts see at once that it is gone; what cannot be deleted now, prune_checkpoints deletes.
void give_up_after(const Error& error, const std::string& directory, int part);

inline void pass(const SaveRequest& request, const char* point) {
  if (request.at_point) request.at_point(point);
}

}  // namespace regroup::checkpoint
