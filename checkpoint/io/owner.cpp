#include "checkpoint/io/owner.hpp"

#include "base/digest.hpp"
#include "base/json_fields.hpp"
#include "base/now.hpp"
#include "checkpoint/io/posix_file.hpp"

#include <algorithm>
#include <optional>

namespace regroup::checkpoint {
namespace {

constexpr const char* kOwnerName = "OWNER.json";

struct Owner {
  std::string job, id;
  std::int64_t since_ms = 0;
};

// None where the file is not there, or is torn: it is advice, and the next start writes it anew.
std::optional<Owner> owner_of(const std::string& root) {
  const auto text = read_small_file(root + "/" + kOwnerName);
  if (!text) return std::nullopt;
  auto owner = json::read_json(*text, kOwnerName, [](const json::Field& in) {
    return Owner{in["job"].string(), in["id"].string(), in["since_ms"].integer<std::int64_t>()};
  });
  return owner ? std::optional(std::move(*owner)) : std::nullopt;
}

std::string text_of(const Owner& owner) {
  return "run " + owner.id + " of the job " + owner.job + ", " +
         std::to_string(std::max<std::int64_t>(0, wall_ms() - owner.since_ms) / 1000) + " s ago";
}

}  // namespace

std::string owner_id(const std::string& secret) { return sha256_hex(secret.data(), secret.size()).substr(0, 16); }

Result<std::string> own(const std::string& root, const std::string& job, const std::string& id) {
  const auto before = owner_of(root);
  if (before && before->id == id) return std::string();
  if (auto made = make_directory(root); !made) return made.error();
  const json::Json owner = {{"job", job}, {"id", id}, {"since_ms", wall_ms()}};
  if (auto placed = place_file(root + "/" + kOwnerName, json::dump(owner) + "\n"); !placed) return placed.error();
  return before ? root + " was taken by " + text_of(*before) + "; if that one still runs, it cannot save any more"
                : std::string();
}

Result<void> check_owner(const std::string& root, const std::string& id) {
  const auto owner = owner_of(root);
  if (!owner || owner->id == id) return {};
  return Error{Code::kConflict, root + " was taken over by " + text_of(*owner) + ", and this is run " + id +
                                    ": stop one of them, or give it a snapshots.dir of its own"};
}

}  // namespace regroup::checkpoint
