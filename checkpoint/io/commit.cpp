// The commit: all parts' records -> one manifest. The rename of MANIFEST.json is the moment from which the directory is
// a checkpoint.
#include "api/job_terms.hpp"
#include "base/now.hpp"
#include "checkpoint/core/cover.hpp"
#include "checkpoint/core/file_plan.hpp"
#include "checkpoint/core/replicas.hpp"
#include "checkpoint/io/catalog.hpp"
#include "checkpoint/io/companions.hpp"
#include "checkpoint/io/extent_checksums.hpp"
#include "checkpoint/io/owner.hpp"
#include "checkpoint/io/posix_file.hpp"
#include "checkpoint/io/save.hpp"
#include "checkpoint/io/save_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

namespace regroup::checkpoint {
namespace {

Result<PartRecord> wait_for_record(const SaveRequest& request, const std::string& directory, int part,
                                   Clock::time_point deadline, const CancelFlag& cancel) {
  // Shared storage has no notification of other machines' renames; a look at one name is cheap. One that comes soon is
  // seen soon.
  const auto since = Clock::now();
  for (;;) {
    auto text = read_small_file(part_record_path(directory, part));
    if (text) {
      auto record = part_record_from_json(*text);
      if (!record) return record.error().within("checkpoint " + part_record_path(directory, part));
      if (record->info != request.info || record->num_parts != request.num_parts || record->part != part)
        return Error{Code::kConflict,
                     "checkpoint " + part_record_path(directory, part) +
                         " is of another state than this save: two jobs share the directory; give each its own"};
      return record;
    }
    if (text.error().code != Code::kNotFound) return text.error();
    if (::access(directory.c_str(), F_OK) != 0)
      return Error{Code::kUnavailable, "checkpoint " + directory + ": a part failed and gave it up"};
    if (cancel.cancelled()) return Error{Code::kNewerEpoch, "checkpoint " + directory + ": the save was stopped"};
    if (Clock::now() >= deadline)
      return Error{Code::kTimeout, "checkpoint " + directory + ": part " + std::to_string(part) + " of " +
                                       std::to_string(request.num_parts) + " did not come in time"};
    std::this_thread::sleep_for(std::clamp<Clock::duration>((Clock::now() - since) / 16, std::chrono::milliseconds(1),
                                                            std::chrono::milliseconds(20)));
  }
}

Result<std::vector<ManifestFile>> describe_files(const FilePlan& plan, const std::string& directory) {
  std::vector<ManifestFile> files;
  for (const PlannedFile& planned : plan.files()) {
    const std::string path = directory + "/" + planned.name;
    auto file = open_file(path, O_RDONLY);
    if (!file) return file.error();
    auto size = file_size(*file, path);
    if (!size) return size.error();
    if (*size != planned.bytes)
      return Error{Code::kConflict,
                   path + " has " + std::to_string(*size) + " bytes instead of " + std::to_string(planned.bytes)};
    files.push_back({planned.name, planned.bytes, static_cast<std::int64_t>(planned.header.size()),
                     checksum(std::as_bytes(std::span(planned.header)))});
  }
  return files;
}

// The state came from the newest older checkpoint, or goes on from one that came from it.
Result<TermsChain> chain_of(const SaveRequest& request) {
  CheckpointWanted wanted;
  wanted.job = request.info.job;
  wanted.before = request.info.step;
  wanted.skip_unreadable = false;  // a chain that forgets steps would be for good
  const auto older = find_newest_checkpoint(request.root, wanted);
  if (!older && older.error().code != Code::kNotFound) return older.error();
  TermsChain chain = older ? older->manifest.chain : TermsChain();
  if (chain.empty() || with_defaults(chain.back().terms) != request.terms)
    chain.push_back({older ? older->manifest.info.step : Step(0), request.terms});
  return chain;
}

Result<CheckpointCommitted> commit_into(const std::string& directory, const SaveRequest& request,
                                        std::chrono::milliseconds deadline, const CancelFlag& cancel) {
  const auto started = Clock::now();
  auto plan = FilePlan::make(request.info.shape, request.info.max_file_bytes);
  if (!plan) return plan.error();
  const std::string manifest_path = directory + "/" + kManifestName;
  if (::access(manifest_path.c_str(), F_OK) == 0)
    return Error{Code::kConflict, "checkpoint " + directory + " is complete already"};

  if (!request.owner.empty())
    if (auto ours = check_owner(request.root, request.owner); !ours) return ours.error();
  auto chain = chain_of(request);
  if (!chain) return chain.error().within("checkpoint " + directory);
  Manifest manifest{request.info, {}, {}, wall_ms(), std::move(*chain)};
  std::vector<PartRecord> parts;
  for (int part = 0; part < request.num_parts; ++part) {
    auto record = wait_for_record(request, directory, part, started + deadline, cancel);
    if (!record) return record.error();
    std::move(record->extents.begin(), record->extents.end(), std::back_inserter(manifest.extents));
    parts.push_back(std::move(*record));
  }
  if (auto same = check_replicas(parts); !same) return same.error().within("checkpoint " + directory);
  std::sort(manifest.extents.begin(), manifest.extents.end(), lies_before);
  auto files = describe_files(*plan, directory);
  if (!files) return files.error();
  manifest.files = std::move(*files);
  if (auto ok = check_cover(manifest.files, manifest.extents); !ok)
    return Error{Code::kBadInput, "checkpoint " + directory + ": " + ok.error().context};
  pass(request, "parts_collected");

  CheckpointCommitted committed{directory, 0, 0, {}};
  if (!request.model_directory.empty())
    committed.notes = copy_companions(request.model_directory, directory, !request.has_other_tokenizer);
  if (!request.tokenizer_model.empty() && !has_tokenizer(directory)) {
    const auto model = read_small_file(request.tokenizer_model);
    const Result<void> copied =
        model ? place_durable_file(directory + "/tokenizer.model", *model) : Result<void>(model.error());
    if (!copied) committed.notes.push_back(copied.error().context);
  }
  pass(request, "companions_copied");

  if (cancel.cancelled()) return Error{Code::kNewerEpoch, "checkpoint " + directory + ": the save was stopped"};
  auto before_rename = [](void* argument) { pass(*static_cast<const SaveRequest*>(argument), "manifest_not_renamed"); };
  auto placed = place_durable_file(manifest_path, to_json(manifest), before_rename, const_cast<SaveRequest*>(&request));
  if (!placed) return placed.error();
  pass(request, "manifest_renamed");

  // What they say is in the manifest now. A crash here leaves them: they harm nobody.
  for (int part = 0; part < request.num_parts; ++part) ::unlink(part_record_path(directory, part).c_str());
  committed.seconds = seconds_since(started);
  for (const ManifestFile& file : manifest.files) committed.bytes += file.bytes;
  return committed;
}

}  // namespace

Result<CheckpointCommitted> commit(const SaveRequest& request, std::chrono::milliseconds deadline,
                                   const CancelFlag& cancel) {
  const std::string directory = directory_of(request);
  auto committed = commit_into(directory, request, deadline, cancel);
  if (!committed) give_up_after(committed.error(), directory, request.part);
  return committed;
}

}  // namespace regroup::checkpoint
