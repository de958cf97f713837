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

// A save whose part `part` failed for good has its directory renamed: step-00001200.e7.failed-3.
std::string given_up_suffix(int part);
bool is_given_up(std::string_view directory);

struct StoredCheckpoint {
  CheckpointName name;
  std::string directory;  // its last path component
  bool complete = false;  // has a manifest whose digest matches and whose files are there in full length
};

struct Deletion {
  StoredCheckpoint checkpoint;
  std::string reason;
};

// Which directories may be deleted. What is deleted is users' data, so both rules lean towards keeping.
//
// Complete ones: the newest `keep_last` stay, and one stays whatever keep_last says. Newest is by step, then by epoch.
//
// Incomplete ones are left behind by a crash, or are being written at this moment, by other nodes too, and look the
// same. One goes when a complete one makes both of these sure:
//   nothing is lost     it is of the same step or a later one: a resume would start there and never from this one;
//   nobody writes it    this one's epoch is older than `live`, the epoch of whoever asks: agents end the saves of older
//                       epochs when a newer one begins. Or the complete one is of a later step and of this one's epoch
//                       or a newer one: an epoch begins a save only when the one before has ended.
// An incomplete one of a later step than all complete ones therefore stays until a complete one has passed it.
//
// Order: oldest first, so that a crash between two deletions leaves the newer.
std::vector<Deletion> choose_deletions(std::vector<StoredCheckpoint> stored, int keep_last, Epoch live);

// Where no save ever succeeds, no complete one makes the others needless, and they would fill the disk: saves that
// newer epochs ended, or whose parts lie on disks that are not shared. Of the directories without a manifest, which may
// go while `written` is being written: those before the newest of an earlier step and no later epoch, oldest first.
// That one stays, because its commit may still be under way where `written` is an epoch's last save.
std::vector<CheckpointName> left_behind(std::vector<CheckpointName> without_manifest, const CheckpointName& written);

}  // namespace regroup::checkpoint
