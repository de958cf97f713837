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
inline void pass(const SaveRequest& request, const char* point) {
  if (request.at_point) request.at_point(point);
}

}  // namespace regroup::checkpoint
