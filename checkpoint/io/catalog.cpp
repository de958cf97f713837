#include "checkpoint/io/catalog.hpp"

#include "api/job_terms.hpp"
#include "checkpoint/io/posix_file.hpp"
#include "checkpoint/io/reader.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace regroup::checkpoint {
namespace {

namespace fs = std::filesystem;

std::int64_t bytes_in(const fs::path& directory) {
  std::int64_t bytes = 0;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const auto size = it->file_size(ignored);
    if (!ignored) bytes += static_cast<std::int64_t>(size);
  }
  return bytes;
}

// Of what lies in root; a root that does not exist holds nothing.
Result<std::vector<std::string>> names_in(const std::string& root) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator it(root, error), end;
  if (error == std::errc::no_such_file_or_directory) return names;
  for (; !error && it != end; it.increment(error)) names.push_back(it->path().filename().string());
  if (error) return file_error("list", root, error.value());
  return names;
}

// Names of checkpoint directories under root, newest first.
Result<std::vector<std::pair<CheckpointName, std::string>>> names_under(const std::string& root) {
  auto all = names_in(root);
  if (!all) return all.error();
  std::vector<std::pair<CheckpointName, std::string>> names;
  for (std::string& directory : *all)
    if (const auto name = checkpoint_name(directory)) names.emplace_back(*name, std::move(directory));
  std::sort(names.begin(), names.end(), std::greater<>());
  return names;
}

// Why this checkpoint is not the one that is wanted; empty when it is.
std::string mismatch(const Manifest& manifest, const CheckpointWanted& wanted) {
  const CheckpointInfo& info = manifest.info;
  if (!wanted.job.empty() && info.job != wanted.job) return "it is of the job " + info.job + ", not " + wanted.job;
  const std::string whose = "the checkpoint's job";
  if (wanted.terms && !manifest.chain.empty())
    return contradiction(whose, with_defaults(manifest.chain.back().terms), info.step, *wanted.terms, wanted.may);
  if (wanted.shape && !(info.shape == *wanted.shape)) return "it is of a model of another shape";
  if (!wanted.data_digest.empty() && info.data_digest != wanted.data_digest) return "it was trained on other data";
  if (wanted.seed && info.seed != *wanted.seed)
    return "seed: " + whose + " had " + std::to_string(info.seed) + ", this one has " + std::to_string(*wanted.seed);
  if (!wanted.terms) return {};
  JobTerms kept = *wanted.terms;  // all that it says of its terms are the numbers of its time
  kept.sample_order = JobTerms{}.sample_order;
  kept.sums = JobTerms{}.sums;
  return contradiction(whose, kept, info.step, *wanted.terms, wanted.may);
}

std::vector<std::string> notes_on(const FoundCheckpoint& found, const JobTerms& terms) {
  const TermsChain& chain = found.manifest.chain;
  const std::string step = std::to_string(found.manifest.info.step.value);
  std::vector<std::string> notes;
  if (chain.empty())
    notes.push_back("checkpoint " + found.path +
                    " is of an older program and says of its job the name, model, data and seed alone: that start "
                    "weights, batch, chains, optimizer and schedule are the same cannot be checked");
  const JobTerms then = chain.empty() ? JobTerms{} : chain.back().terms;
  const auto compare = [&](const std::string& what, int had, int has) {
    if (had == has) return;
    notes.push_back("checkpoint " + found.path + " has " + what + " " + std::to_string(had) + ", this program " +
                    std::to_string(has) + ": from step " + step + " on the bits are others (allow_mixed_fingerprints)");
  };
  compare("sample_order", then.sample_order, terms.sample_order);
  compare("sums", then.sums, terms.sums);
  return notes;
}

}  // namespace

Result<std::vector<ListedCheckpoint>> list_checkpoints(const std::string& root) {
  auto names = names_under(root);
  if (!names) return names.error();
  std::vector<ListedCheckpoint> list;
  for (const auto& [name, directory] : *names) {
    ListedCheckpoint listed;
    listed.stored = {name, directory, false};
    listed.path = root + "/" + directory;
    listed.bytes = bytes_in(listed.path);
    if (auto reader = CheckpointReader::open(listed.path)) {
      listed.stored.complete = true;
      listed.manifest = (*reader)->manifest();
    } else {
      listed.problem = reader.error().context;
    }
    list.push_back(std::move(listed));
  }
  return list;
}

Result<FoundCheckpoint> find_newest_checkpoint(const std::string& root, const CheckpointWanted& wanted) {
  auto names = names_under(root);
  if (!names) return names.error();
  std::vector<std::string> skipped, damaged;
  Step newest_damaged{-1};
  for (const auto& [name, directory] : *names) {
    if (wanted.before && name.step >= *wanted.before) continue;
    const std::string path = root + "/" + directory;
    if (std::find(wanted.not_these.begin(), wanted.not_these.end(), path) != wanted.not_these.end()) {
      skipped.push_back(path + ": was found damaged");
      continue;
    }
    auto reader = CheckpointReader::open(path);
    if (!reader) {
      if (!wanted.skip_unreadable && reader.error().code == Code::kUnavailable) return reader.error();
      skipped.push_back(path + ": " + reader.error().context);
      if (reader.error().code == Code::kCorrupt) {
        damaged.push_back(skipped.back());
        newest_damaged = std::max(newest_damaged, name.step);
      }
      continue;
    }
    const std::string other = mismatch((*reader)->manifest(), wanted);
    if (!other.empty())
      return Error{Code::kBadInput, "checkpoint " + path + " cannot be resumed from: " + other +
                                        "; a job of its own needs another name and another snapshots.dir"};
    FoundCheckpoint found{
        path, (*reader)->manifest(), (*reader)->digest(), std::move(skipped), std::move(damaged), newest_damaged, {}};
    if (wanted.terms) found.notes = notes_on(found, *wanted.terms);
    return found;
  }
  std::string context = root + kNoneComplete;
  for (const std::string& why : skipped) context += "; " + why;
  return Error{Code::kNotFound, context};
}

Result<std::vector<std::string>> set_damaged_aside(const std::string& root,
                                                   const std::vector<std::string>& read_damaged) {
  const auto names = names_under(root);
  if (!names) return names.error();
  std::vector<std::string> aside;
  for (const auto& [name, directory] : *names) {
    const std::string path = root + "/" + directory;
    if (std::find(read_damaged.begin(), read_damaged.end(), path) == read_damaged.end()) {
      const auto reader = CheckpointReader::open(path);
      if (reader || reader.error().code != Code::kCorrupt) continue;
    }
    std::string to = path + ".damaged";
    for (int i = 2; ::access(to.c_str(), F_OK) == 0; ++i) to = path + ".damaged-" + std::to_string(i);
    if (std::rename(path.c_str(), to.c_str()) != 0) return file_error("rename to", to, errno);
    aside.push_back(to);
  }
  if (!aside.empty())
    if (auto ok = sync_directory(root); !ok) return ok.error();
  return aside;
}

Result<std::optional<Step>> newest_complete_step(const std::string& root) {
  const auto found = find_newest_checkpoint(root, {});
  if (found) return std::optional(found->manifest.info.step);
  if (found.error().code == Code::kNotFound) return std::optional<Step>();
  return found.error();
}

Result<std::string> resolve_checkpoint(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return Error{Code::kNotFound, path + " is not a directory"};
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  if (checkpoint_name(fs::path(trimmed).filename().string()) || fs::exists(trimmed + "/" + kManifestName, error))
    return trimmed;
  auto found = find_newest_checkpoint(trimmed, {});
  if (!found) return found.error();
  return found->path;
}

namespace {

Result<void> delete_directory(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  return error ? file_error("delete", path, error.value()) : Result<void>();
}

}  // namespace

Result<std::vector<Deletion>> prune_checkpoints(const std::string& root, int keep_last, Epoch live) {
  auto list = list_checkpoints(root);
  if (!list) return list.error();
  std::vector<StoredCheckpoint> stored;
  for (const ListedCheckpoint& listed : *list) stored.push_back(listed.stored);
  std::vector<Deletion> gone;
  for (Deletion& deletion : choose_deletions(std::move(stored), keep_last, live)) {
    const std::string path = root + "/" + deletion.checkpoint.directory;
    // Without its manifest it is no checkpoint any more, however far the rest of the deletion gets.
    if (::unlink((path + "/" + kManifestName).c_str()) == 0)
      if (auto ok = sync_directory(path); !ok) return ok.error();
    if (auto ok = delete_directory(path); !ok) return ok.error();
    gone.push_back(std::move(deletion));
  }
  const auto names = names_in(root);
  if (!names) return names.error();
  for (const std::string& name : *names)
    if (is_given_up(name))
      if (auto ok = delete_directory(root + "/" + name); !ok) return ok.error();
  return gone;
}

Result<void> prune_left_behind(const std::string& root, const CheckpointName& written) {
  const auto names = names_under(root);
  if (!names) return names.error();
  std::vector<CheckpointName> without_manifest;
  for (const auto& [name, directory] : *names)
    if (::access((root + "/" + directory + "/" + kManifestName).c_str(), F_OK) != 0 && errno == ENOENT)
      without_manifest.push_back(name);
  for (const CheckpointName& name : left_behind(std::move(without_manifest), written))
    if (auto ok = delete_directory(root + "/" + to_directory(name)); !ok) return ok;
  return {};
}

}  // namespace regroup::checkpoint
