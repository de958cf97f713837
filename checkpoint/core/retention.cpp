#include "checkpoint/core/retention.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace regroup::checkpoint {
namespace {

template <class Number>
bool parse_number(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty() && text.front() != '-';
}

}  // namespace

std::string to_directory(const CheckpointName& name) {
  char text[64];
  std::snprintf(text, sizeof text, "step-%08lld.e%llu", static_cast<long long>(name.step.value),
                static_cast<unsigned long long>(name.epoch.value));
  return text;
}

std::optional<CheckpointName> checkpoint_name(std::string_view directory) {
  if (!directory.starts_with("step-")) return std::nullopt;
  directory.remove_prefix(5);
  const std::size_t dot = directory.find(".e");
  if (dot == std::string_view::npos) return std::nullopt;
  CheckpointName name;
  if (!parse_number(directory.substr(0, dot), name.step.value) ||
      !parse_number(directory.substr(dot + 2), name.epoch.value))
    return std::nullopt;
  return name;
}

namespace {

constexpr std::string_view kGivenUp = ".failed-";

}  // namespace

std::string given_up_suffix(int part) { return std::string(kGivenUp) + std::to_string(part); }

bool is_given_up(std::string_view directory) {
  const std::size_t suffix = directory.find(kGivenUp);
  int part = 0;
  return suffix != std::string_view::npos && checkpoint_name(directory.substr(0, suffix)) &&
         parse_number(directory.substr(suffix + kGivenUp.size()), part);
}

namespace {

// The two conditions of retention.hpp, in its order.
bool makes_needless(const StoredCheckpoint& complete, const StoredCheckpoint& unfinished, Epoch live) {
  const bool nothing_is_lost = complete.name.step >= unfinished.name.step;
  const bool its_epoch_is_over = unfinished.name.epoch < live;
  const bool a_later_save_ended =
      complete.name.step > unfinished.name.step && complete.name.epoch >= unfinished.name.epoch;
  return nothing_is_lost && (its_epoch_is_over || a_later_save_ended);
}

}  // namespace

std::vector<Deletion> choose_deletions(std::vector<StoredCheckpoint> stored, int keep_last, Epoch live) {
  // newest first
  std::sort(stored.begin(), stored.end(),
            [](const StoredCheckpoint& a, const StoredCheckpoint& b) { return a.name > b.name; });
  const int keep = std::max(keep_last, 1);
  std::vector<Deletion> deletions;
  int complete = 0;
  for (const StoredCheckpoint& checkpoint : stored) {
    if (checkpoint.complete) {
      if (++complete > keep)
        deletions.push_back({checkpoint, "older than the newest " + std::to_string(keep) + " complete ones"});
      continue;
    }
    if (std::any_of(stored.begin(), stored.end(), [&](const StoredCheckpoint& other) {
          return other.complete && makes_needless(other, checkpoint, live);
        }))
      deletions.push_back({checkpoint, "was never completed, and a complete one is at least as new"});
  }
  std::reverse(deletions.begin(), deletions.end());
  return deletions;
}

std::vector<CheckpointName> left_behind(std::vector<CheckpointName> without_manifest, const CheckpointName& written) {
  std::erase_if(without_manifest,
                [&](const CheckpointName& name) { return name.step >= written.step || name.epoch > written.epoch; });
  std::sort(without_manifest.begin(), without_manifest.end());
  if (!without_manifest.empty()) without_manifest.pop_back();
  return without_manifest;
}

}  // namespace regroup::checkpoint
