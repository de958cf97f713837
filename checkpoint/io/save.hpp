// save.hpp: writes a checkpoint: each owner its part, in place, into the same files; the owner of part 0 commits.
// Blocking: call it on a thread of its own.
//
//   write_part(request)            every owner; durable when it returns
//   commit(request, deadline)      the owner of part 0, after its own write_part
//
// write_part is defined in part_writer.cpp, commit in commit.cpp.
//
// Directory: ROOT/step-<n>.e<epoch>/. Owners need not know each other: file sizes and headers follow from the model's
// shape. Nothing counts until commit renamed MANIFEST.json. Errors: kUnavailable (disk full, I/O error: names file and
// errno; training goes on, the next save may succeed), kNewerEpoch (cancelled), kTimeout (a part's record did not
// come), kConflict (this checkpoint is complete already, or a part's record is of another state), kCorrupt (a part's
// record is torn, or the groups hold different states), kBadInput (entries that are no part of the shape). Never
// throws. A part that fails to write, and a commit that fails, take the unfinished directory away, so that the space is
// free again and nobody waits. Of kNewerEpoch and kConflict it stays.
#pragma once

#include "base/result.hpp"
#include "checkpoint/core/manifest.hpp"
#include "checkpoint/core/part.hpp"
#include "checkpoint/io/cancel.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace regroup::checkpoint {

struct SaveRequest {
  std::string root;  // directory of the job's checkpoints; made when missing
  CheckpointInfo info;
  int part = 0;
  int num_parts = 1;
  std::vector<PartEntry> entries;  // of this part; all parts together: every block of every unit once
  int group = 0;
  // What this part's owner holds: asked for when its part is written, for the record. Commit compares groups by it.
  // Empty, or gives none: not known.
  std::function<std::optional<std::vector<UnitSum>>()> holds;
  // where the initial weights came from, if from anywhere: commit copies its tokenizer and generation settings
  std::string model_directory;
  bool has_other_tokenizer = false;  // the data's is not model_directory's, which stays where it is
  // a SentencePiece file that the data was made with: becomes tokenizer.model where model_directory gave no tokenizer
  std::string tokenizer_model;
  std::string owner;  // owner_id of the run: kConflict where the directory is another's now; empty: any
  JobTerms terms;     // of the job; commit adds them to the chain of the checkpoint before this one
  std::function<void(const char* point)> at_point;  // tests end the process here; empty otherwise
};

struct PartWritten {
  std::string directory;
  std::int64_t bytes = 0;
  double seconds = 0;              // until durable
  std::vector<std::string> notes;  // what of model_directory could not be read, one sentence each
};

struct CheckpointCommitted {
  std::string directory;
  std::int64_t bytes = 0;          // of all files
  double seconds = 0;              // waiting for the other parts, and the commit itself
  std::vector<std::string> notes;  // what could not be copied from model_directory, one sentence each
};

Result<PartWritten> write_part(const SaveRequest& request, const CancelFlag& cancel = {});

// Waits for every part's record, checks that they cover the state once and that all groups hold the same, copies the
// tokenizer, writes MANIFEST.json, in which the chain of terms goes on from the newest older checkpoint of the job in
// `root`. Part 0 wrote the other Hugging Face files.
Result<CheckpointCommitted> commit(const SaveRequest& request, std::chrono::milliseconds deadline,
                                   const CancelFlag& cancel = {});

}  // namespace regroup::checkpoint
