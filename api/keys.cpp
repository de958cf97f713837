#include "api/keys.hpp"

#include <charconv>
#include <utility>

namespace regroup {
namespace {

// What stands before the first slash and after it; nothing: there is no slash, or nothing on one of its sides.
std::optional<std::pair<std::string_view, std::string_view>> cut(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == text.size()) return std::nullopt;
  return std::pair(text.substr(0, slash), text.substr(slash + 1));
}

template <class StrongId>
std::optional<StrongId> number(std::string_view text) {
  StrongId id;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id.value);
  if (error != std::errc() || std::to_string(id.value) != text) return std::nullopt;  // such as 007
  return id;
}

constexpr std::string_view kDrainWish = "drain-";

key::Wish parse_wish(std::string job, std::string_view id) {
  key::Wish wish{std::move(job), std::string(id)};
  if (id.starts_with(kDrainWish)) wish.drained = NodeId(std::string(id.substr(kDrainWish.size())));
  return wish;
}

std::optional<Key> parse_below_job(std::string job, std::string_view what) {
  if (what == "spec") return key::Spec{std::move(job)};
  if (what == "plan/current") return key::CurrentPlan{std::move(job)};
  if (what == "born") return key::Born{std::move(job)};
  if (what == "outcome") return key::Outcome{std::move(job)};
  if (what == "status") return key::Status{std::move(job)};
  const auto parts = cut(what);
  if (!parts || parts->second.find('/') != std::string_view::npos) return std::nullopt;
  const auto [kind, name] = *parts;
  if (kind == "wishes") return parse_wish(std::move(job), name);
  if (kind == "progress") return key::Progress{std::move(job), NodeId(std::string(name))};
  if (kind == "load") return key::Load{std::move(job), NodeId(std::string(name))};
  if (kind == "plan") {
    if (const auto epoch = number<Epoch>(name)) return key::PlanOfEpoch{std::move(job), *epoch};
  }
  if (kind == "checkpoints") {
    if (const auto step = number<Step>(name)) return key::Checkpoint{std::move(job), *step};
  }
  return std::nullopt;
}

}  // namespace

std::string drain_wish(const NodeId& node) { return std::string(kDrainWish) + node.value; }

const std::string* job_in(const Key& key) {
  return std::visit(
      [](const auto& at) -> const std::string* {
        if constexpr (requires { at.job; }) {
          return &at.job;
        } else {
          return nullptr;
        }
      },
      key);
}

std::optional<Key> Keys::parse(std::string_view key) const {
  if (!key.starts_with(root_)) return std::nullopt;
  const auto parts = cut(key.substr(root_.size()));
  if (!parts) return std::nullopt;
  const auto [kind, name] = *parts;
  if (kind == "jobs") {
    const auto job = cut(name);
    if (!job) return std::nullopt;
    return parse_below_job(std::string(job->first), job->second);
  }
  if (name.find('/') != std::string_view::npos) return std::nullopt;
  if (kind == "nodes") return key::Node{NodeId(std::string(name))};
  if (kind == "notices") return key::Notice{NodeId(std::string(name))};
  if (kind == "suspects") return key::Suspect{std::string(name)};
  if (kind == "assignments") return key::Assignment{NodeId(std::string(name))};
  if (kind == "leader") return key::Candidate{std::string(name)};
  return std::nullopt;
}

}  // namespace regroup
