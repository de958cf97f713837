#include "checkpoint/core/manifest.hpp"

#include "base/hex.hpp"
#include "base/json_fields.hpp"
#include "checkpoint/core/chain_json.hpp"
#include "checkpoint/core/shape_json.hpp"

#include <algorithm>
#include <tuple>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace regroup::checkpoint {
namespace {

using json::Field;
using nlohmann::ordered_json;

constexpr const char* kFormat = "regroup-checkpoint/1";
constexpr const char* kPartFormat = "regroup-checkpoint-part/1";
constexpr std::string_view kDigestKey = ",\"digest\":\"";

std::string digest_of(std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return to_hex(hash.high64) + to_hex(hash.low64);
}

// As text: a large state has millions of checksums, and a tree of JSON values for them is several times as large and
// slow to print.
void append_extents(std::string& text, const std::vector<Extent>& extents) {
  std::size_t checksums = 0;
  for (const Extent& extent : extents) checksums += extent.checksums.size();
  text.reserve(text.size() + 16 * checksums + 160 * extents.size() + 64);
  const auto number = [&text](const char* key, std::int64_t value) { text.append(key).append(std::to_string(value)); };
  text += '[';
  for (const Extent& extent : extents) {
    if (text.back() != '[') text += ',';
    number("{\"file\":", extent.file);
    number(",\"offset\":", extent.offset);
    number(",\"bytes\":", extent.bytes);
    text += ",\"xxh3_64\":\"";
    for (const std::uint64_t checksum : extent.checksums) text += to_hex(checksum);
    text += '"';
    if (extent.rows) {
      number(",\"run\":", extent.rows.run);
      number(",\"stride\":", extent.rows.stride);
      number(",\"from\":", extent.from);
    }
    text += '}';
  }
  text += ']';
}

// {"a":1} -> {"a":1,"extents":[...],"digest":"..."}
std::string sealed(const ordered_json& body, const std::vector<Extent>& extents) {
  std::string text = body.dump();
  text.pop_back();
  text += ",\"extents\":";
  append_extents(text, extents);
  text += std::string(kDigestKey) + digest_of(text) + "\"}\n";
  return text;
}

std::size_t digest_at(std::string_view text) { return text.rfind(kDigestKey); }

Error corrupt(const std::string& what) { return {Code::kCorrupt, what}; }

// `read` what the digest at the end vouches for.
template <class Read>
auto read_sealed(std::string_view text, const char* what, const char* format, Read read)
    -> Result<decltype(read(std::declval<Field>()))> {
  const std::size_t at = digest_at(text);
  if (at == std::string_view::npos) return corrupt("has no digest at its end: it is cut off or of another program");
  const std::string expected = std::string(kDigestKey) + digest_of(text.substr(0, at)) + "\"}\n";
  if (text.substr(at) != expected) return corrupt("does not match its own digest: it was changed or damaged");
  bool is_another_format = false;
  auto sealed = json::read_json(
      text, what,
      [&](const Field& in) {
        const std::string found = in["format"].string();
        is_another_format = found != format;
        if (is_another_format) in["format"].fail("is " + found + ", not " + format + ": use the program that wrote it");
        return read(in);
      },
      Code::kCorrupt);
  if (is_another_format) return Error{Code::kBadInput, sealed.error().context};  // whole, and nothing to throw away
  return sealed;
}

ordered_json info_json(const CheckpointInfo& info) {
  ordered_json out = {{"job", info.job},
                      {"epoch", info.epoch.value},
                      {"step", info.step.value},
                      {"seed", info.seed},
                      {"data_position", info.step.value},
                      {"data_digest", info.data_digest},
                      {"fingerprint", info.fingerprint},
                      {"max_file_bytes", info.max_file_bytes},
                      {"shape", to_ordered_value(info.shape)}};
  if (info.bad.total > 0) out["bad_steps"] = {{"total", info.bad.total}, {"in_a_row", info.bad.in_a_row}};
  return out;
}

CheckpointInfo read_info(const Field& in) {
  CheckpointInfo info;
  info.job = in["job"].string();
  info.epoch = in["epoch"].id<Epoch>();
  info.step = in["step"].id<Step>();
  info.seed = in["seed"].integer<std::uint64_t>();
  info.data_digest = in["data_digest"].string();
  info.fingerprint = in["fingerprint"].string();
  info.max_file_bytes = in["max_file_bytes"].integer<std::int64_t>();
  info.shape = read_shape(in["shape"]);
  if (const auto bad = in.find("bad_steps"))
    info.bad = {(*bad)["total"].integer<std::int64_t>(), (*bad)["in_a_row"].integer<std::int64_t>()};
  return info;
}

std::uint64_t read_checksum(const Field& in, std::string_view text) {
  const auto value = from_hex(text);
  if (!value || text.size() != 16) in.fail("is not 16 hexadecimal digits");
  return *value;
}

Extent read_extent(const Field& in) {
  Extent extent;
  extent.file = in["file"].integer<int>();
  extent.offset = in["offset"].integer<std::int64_t>();
  extent.bytes = in["bytes"].integer<std::int64_t>();
  if (const auto run = in.find("run")) {
    extent.rows = {run->integer<std::int64_t>(), in["stride"].integer<std::int64_t>()};
    extent.from = in["from"].integer<std::int64_t>();
    if (extent.rows.run <= 0 || extent.rows.stride < extent.rows.run || extent.from < 0)
      in.fail("has rows that cannot be");
  }
  if (extent.file < 0 || extent.offset < 0 || extent.bytes <= 0) in.fail("lies nowhere");
  const Field field = in["xxh3_64"];
  const std::string checksums = field.string();
  if (static_cast<std::int64_t>(checksums.size()) != 16 * extent.num_pieces())
    field.fail("has too few or too many checksums");
  for (std::size_t i = 0; i < checksums.size(); i += 16)
    extent.checksums.push_back(read_checksum(field, std::string_view(checksums).substr(i, 16)));
  return extent;
}

std::vector<Extent> read_extents(const Field& in) {
  std::vector<Extent> extents;
  for (const Field& item : in.items()) {
    Extent extent = read_extent(item);
    if (!extents.empty() && !lies_before(extents.back(), extent)) item.fail("is out of order");
    extents.push_back(std::move(extent));
  }
  return extents;
}

Manifest read_manifest(const Field& in) {
  Manifest manifest;
  manifest.info = read_info(in);
  manifest.written_at_ms = in["written_at_ms"].integer<std::int64_t>();
  if (in["checksum_bytes"].integer<std::int64_t>() != kChecksumBytes) in["checksum_bytes"].fail("is not 64 KiB");
  for (const Field& file : in["files"].items()) {
    const Field checksum = file["header_xxh3_64"];
    manifest.files.push_back({file["name"].string(), file["bytes"].integer<std::int64_t>(),
                              file["header_bytes"].integer<std::int64_t>(),
                              read_checksum(checksum, checksum.string())});
  }
  manifest.extents = read_extents(in["extents"]);
  if (const auto chain = in.find("chain")) manifest.chain = read_chain(*chain);
  return manifest;
}

PartRecord read_part_record(const Field& in) {
  PartRecord record;
  record.info = read_info(in);
  record.part = in["part"].integer<int>();
  record.num_parts = in["num_parts"].integer<int>();
  record.extents = read_extents(in["extents"]);
  record.group = in["group"].integer<int>();
  if (const auto holds = in.find("holds")) {
    record.holds.emplace();
    for (const Field& held : holds->items()) {
      const Field sum = held["sum"];
      record.holds->push_back({held["unit"].integer<int>(), read_checksum(sum, sum.string())});
    }
  }
  return record;
}

}  // namespace

std::string to_json(const Manifest& manifest) {
  ordered_json body = {{"format", kFormat}};
  body.update(info_json(manifest.info));
  if (!manifest.chain.empty()) body["chain"] = chain_json(manifest.chain);
  body["written_at_ms"] = manifest.written_at_ms;
  body["files"] = ordered_json::array();
  for (const ManifestFile& file : manifest.files)
    body["files"].push_back({{"name", file.name},
                             {"bytes", file.bytes},
                             {"header_bytes", file.header_bytes},
                             {"header_xxh3_64", to_hex(file.header_checksum)}});
  body["checksum_bytes"] = kChecksumBytes;
  return sealed(body, manifest.extents);
}

std::string to_json(const PartRecord& record) {
  ordered_json body = {{"format", kPartFormat}};
  body.update(info_json(record.info));
  body["part"] = record.part;
  body["num_parts"] = record.num_parts;
  body["group"] = record.group;
  if (record.holds) {
    body["holds"] = ordered_json::array();
    for (const UnitSum& held : *record.holds) body["holds"].push_back({{"unit", held.unit}, {"sum", to_hex(held.sum)}});
  }
  return sealed(body, record.extents);
}

Result<Manifest> manifest_from_json(std::string_view text) {
  return read_sealed(text, "manifest", kFormat, read_manifest);
}

Result<PartRecord> part_record_from_json(std::string_view text) {
  return read_sealed(text, "part record", kPartFormat, read_part_record);
}

std::string digest_in(std::string_view text) {
  const std::size_t at = digest_at(text);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = text.substr(at + kDigestKey.size());
  return std::string(rest.substr(0, rest.find('"')));
}

bool lies_before(const Extent& a, const Extent& b) {
  return std::tie(a.file, a.offset, a.from) < std::tie(b.file, b.offset, b.from);
}

}  // namespace regroup::checkpoint
