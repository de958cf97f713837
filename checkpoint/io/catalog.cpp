#include "checkpoint/io/catalog.hpp"

#include "checkpoint/io/posix_file.hpp"
#include "checkpoint/io/reader.hpp"

#include <unistd.h>

#include <algorithm>
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

// Names of checkpoint directories under root, newest first.
Result<std::vector<std::pair<CheckpointName, std::string>>> names_under(const std::string& root) {
  std::vector<std::pair<CheckpointName, std::string>> names;
  std::error_code error;
  fs::directory_iterator it(root, error), end;
  if (error == std::errc::no_such_file_or_directory) return names;
  for (; !error && it != end; it.increment(error)) {
    const std::string directory = it->path().filename().string();
    if (const auto name = checkpoint_name(directory)) names.emplace_back(*name, directory);
  }
  if (error) return file_error("list", root, error.value());
  std::sort(names.begin(), names.end(), std::greater<>());
  return names;
}

// Why this checkpoint is not the one that is wanted; empty when it is.
std::string mismatch(const CheckpointInfo& info, const CheckpointWanted& wanted) {
  if (!wanted.job.empty() && info.job != wanted.job) return "it is of the job " + info.job + ", not " + wanted.job;
  if (wanted.shape && !(info.shape == *wanted.shape)) return "it is of a model of another shape";
  if (!wanted.data_digest.empty() && info.data_digest != wanted.data_digest) return "it was trained on other data";
  return {};
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
  std::vector<std::string> skipped;
  for (const auto& [name, directory] : *names) {
    const std::string path = root + "/" + directory;
    if (std::find(wanted.not_these.begin(), wanted.not_these.end(), path) != wanted.not_these.end()) {
      skipped.push_back(path + ": was found damaged");
      continue;
    }
    auto reader = CheckpointReader::open(path);
    if (!reader) {
      skipped.push_back(path + ": " + reader.error().context);
      continue;
    }
    const std::string other = mismatch((*reader)->manifest().info, wanted);
    if (!other.empty())
      return Error{Code::kBadInput,
                   "checkpoint " + path + " cannot be resumed from: " + other + "; choose another directory"};
    return FoundCheckpoint{path, (*reader)->manifest(), std::move(skipped)};
  }
  std::string context = root + " holds no complete checkpoint";
  for (const std::string& why : skipped) context += "; " + why;
  return Error{Code::kNotFound, context};
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
    std::error_code error;
    fs::remove_all(path, error);
    if (error) return file_error("delete", path, error.value());
    gone.push_back(std::move(deletion));
  }
  return gone;
}

}  // namespace regroup::checkpoint
