// retention.hpp: names of checkpoint directories, and which of them may go. Pure.
#pragma once

#include "base/ids.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace regroup::checkpoint {

struct CheckpointName {
  Step step;
  Epoch epoch;
  friend auto operator<=>(const CheckpointName&, const CheckpointName&) = default;
};

// step-00001200.e7
std::string to_directory(const CheckpointName& name);
std::optional<CheckpointName> checkpoint_name(std::string_view directory);

struct StoredCheckpoint {
  CheckpointName name;
  std::string directory;  // its last path component
  bool complete = false;  // has a manifest whose digest matches and whose files are there in full length
};

struct Deletion {
  StoredCheckpoint checkpoint;
  std::string reason;
};

// Keeps the newest `keep_last` complete ones (at least one, whatever keep_last says). An incomplete one goes when
// nobody can still be writing it: a complete one of a newer or equal step exists and its own epoch is older than
// `live`, the running one; or a complete one of a newer step and of its own or a newer epoch exists (the saves of an
// epoch follow one another).
// Order: oldest first, so that a crash between two deletions leaves the newer.
std::vector<Deletion> choose_deletions(std::vector<StoredCheckpoint> stored, int keep_last, Epoch live);

}  // namespace regroup::checkpoint
