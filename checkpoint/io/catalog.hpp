// catalog.hpp: the checkpoints under a root directory: list, find the newest, verify, digest, export, delete old ones.
// Blocking. verify and digest are defined in whole_checkpoint.cpp, export in export.cpp.
#pragma once

#include "base/result.hpp"
#include "checkpoint/core/manifest.hpp"
#include "checkpoint/core/retention.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace regroup::checkpoint {

struct ListedCheckpoint {
  StoredCheckpoint stored;
  std::string path;
  std::optional<Manifest> manifest;  // of a complete one
  std::int64_t bytes = 0;            // of all files in the directory
  std::string problem;               // why it is not complete
};

// Newest first. A root that does not exist holds none.
Result<std::vector<ListedCheckpoint>> list_checkpoints(const std::string& root);

struct FoundCheckpoint {
  std::string path;
  Manifest manifest;
  std::string digest;                // of the manifest
  std::vector<std::string> skipped;  // "path: why", newer ones that are incomplete or damaged
  std::vector<std::string> damaged;  // those of them whose manifest or sizes are wrong
  Step newest_damaged{-1};           // of these; -1: none
  std::vector<std::string> notes;    // what it does not say, or where it goes on with other bits
};

// What a checkpoint must be of to be taken; empty fields match everything.
struct CheckpointWanted {
  std::string job;
  std::optional<ModelShape> shape;
  std::string data_digest;
  std::vector<std::string> not_these;  // paths found damaged while reading
  std::optional<JobTerms> terms = {};  // that go on from it, and what of them
  MayChange may = {};
  std::optional<std::uint64_t> seed = {};
  std::optional<Step> before = {};  // of an earlier step alone
  bool skip_unreadable = true;      // false: one that the system does not let read is kUnavailable, too
};

// The newest complete one. kNotFound when there is none at all: the error ends with kNoneComplete, or goes on with each
// one that is there and why it is not complete; kBadInput when the newest complete one is of another
// job or of other terms: never silently an older one of the right kind.
Result<FoundCheckpoint> find_newest_checkpoint(const std::string& root, const CheckpointWanted& wanted);

inline constexpr const char* kNoneComplete = " holds no complete checkpoint";

// Renames to NAME.damaged those in `read_damaged` and those whose manifest or sizes are wrong, so that their steps can
// be written again. Returns the new paths. Nothing may be writing there.
Result<std::vector<std::string>> set_damaged_aside(const std::string& root,
                                                   const std::vector<std::string>& read_damaged);

// Of the newest complete one of any job; none where there is none.
Result<std::optional<Step>> newest_complete_step(const std::string& root);

// Bytes done and in all; false stops with kNewerEpoch.
using CheckpointProgress = std::function<bool(std::int64_t done, std::int64_t total)>;

// Reads every byte of one checkpoint. kCorrupt names file and range.
Result<Manifest> verify_checkpoint(const std::string& path, const CheckpointProgress& progress = {});

// The weights digest (docs/design.md): equal to what a worker prints for the same weights.
Result<std::string> digest_checkpoint(const std::string& path, const CheckpointProgress& progress = {});

struct ExportOptions {
  bool bf16 = false;                            // rounded to nearest even; else fp32
  std::int64_t max_file_bytes = 4'000'000'000;  // a tensor that is larger has a file of its own
};

// The Hugging Face part, verified, into `target` (made; must not hold a model yet), with the tokenizer's files. Returns
// the bytes of its weights' files.
Result<std::int64_t> export_checkpoint(const std::string& path, const std::string& target,
                                       const ExportOptions& options = {}, const CheckpointProgress& progress = {});

// A path to one checkpoint, or to a root, whose newest complete one is meant.
Result<std::string> resolve_checkpoint(const std::string& path);

// Deletes what choose_deletions says: manifest first, then the data. Returns what went. What is left of saves that
// failed for good goes, too, unnamed.
Result<std::vector<Deletion>> prune_checkpoints(const std::string& root, int keep_last, Epoch live);

// Deletes what left_behind says.
Result<void> prune_left_behind(const std::string& root, const CheckpointName& written);

}  // namespace regroup::checkpoint
