#include "checkpoint/core/manifest.hpp"

#include "base/hex.hpp"
#include "checkpoint/core/shape_json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <tuple>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace regroup::checkpoint {
namespace {

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

Error corrupt(const std::string& what) { return {Code::kCorrupt, what}; }

Result<void> unsealed(std::string_view text, const char* format, ordered_json& body) {
  const std::size_t at = text.rfind(kDigestKey);
  if (at == std::string_view::npos) return corrupt("has no digest at its end: it is cut off or of another program");
  const std::string expected = std::string(kDigestKey) + digest_of(text.substr(0, at)) + "\"}\n";
  if (text.substr(at) != expected) return corrupt("does not match its own digest: it was changed or damaged");
  body = ordered_json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) return corrupt("is not a JSON object");
  if (body.value("format", "") != format)
    return corrupt("is of the format " + body.value("format", std::string("?")) + ", not " + format +
                   ": use the program that wrote it");
  return {};
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
                      {"shape", ordered_json::parse(shape_to_json(info.shape))}};
  if (info.bad.total > 0) out["bad_steps"] = {{"total", info.bad.total}, {"in_a_row", info.bad.in_a_row}};
  return out;
}

CheckpointInfo info_from(const ordered_json& body) {
  CheckpointInfo info;
  info.job = body.at("job").get<std::string>();
  info.epoch = Epoch{body.at("epoch").get<std::uint64_t>()};
  info.step = Step{body.at("step").get<std::int64_t>()};
  info.seed = body.at("seed").get<std::uint64_t>();
  info.data_digest = body.at("data_digest").get<std::string>();
  info.fingerprint = body.at("fingerprint").get<std::string>();
  info.max_file_bytes = body.at("max_file_bytes").get<std::int64_t>();
  info.shape = shape_from_json(body.at("shape").dump());
  if (const auto bad = body.find("bad_steps"); bad != body.end())
    info.bad = {bad->at("total").get<std::int64_t>(), bad->at("in_a_row").get<std::int64_t>()};
  return info;
}

Result<std::vector<Extent>> extents_from(const ordered_json& list) {
  std::vector<Extent> extents;
  for (const auto& entry : list) {
    Extent extent{entry.at("file").get<int>(),
                  entry.at("offset").get<std::int64_t>(),
                  entry.at("bytes").get<std::int64_t>(),
                  {},
                  {},
                  0};
    if (entry.contains("run")) {
      extent.rows = {entry.at("run").get<std::int64_t>(), entry.at("stride").get<std::int64_t>()};
      extent.from = entry.at("from").get<std::int64_t>();
      if (extent.rows.run <= 0 || extent.rows.stride < extent.rows.run || extent.from < 0)
        return corrupt("an extent has rows that cannot be");
    }
    const std::string checksums = entry.at("xxh3_64").get<std::string>();
    if (extent.file < 0 || extent.offset < 0 || extent.bytes <= 0 ||
        (!extents.empty() && !lies_before(extents.back(), extent)))
      return corrupt("its extents are out of order");
    if (static_cast<std::int64_t>(checksums.size()) != 16 * extent.num_pieces())
      return corrupt("an extent has too few or too many checksums");
    for (std::size_t i = 0; i < checksums.size(); i += 16) {
      const auto value = from_hex(std::string_view(checksums).substr(i, 16));
      if (!value) return corrupt("a checksum is not hexadecimal");
      extent.checksums.push_back(*value);
    }
    extents.push_back(std::move(extent));
  }
  return extents;
}

}  // namespace

std::string to_json(const Manifest& manifest) {
  ordered_json body = {{"format", kFormat}};
  body.update(info_json(manifest.info));
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
  return sealed(body, record.extents);
}

Result<Manifest> manifest_from_json(std::string_view text) try {
  ordered_json body;
  if (auto ok = unsealed(text, kFormat, body); !ok) return ok.error();
  Manifest manifest;
  manifest.info = info_from(body);
  manifest.written_at_ms = body.at("written_at_ms").get<std::int64_t>();
  if (body.at("checksum_bytes").get<std::int64_t>() != kChecksumBytes)
    return corrupt("its checksums are not per 64 KiB");
  for (const auto& entry : body.at("files")) {
    ManifestFile file{entry.at("name").get<std::string>(), entry.at("bytes").get<std::int64_t>(),
                      entry.at("header_bytes").get<std::int64_t>(), 0};
    const auto checksum = from_hex(entry.at("header_xxh3_64").get<std::string>());
    if (!checksum) return corrupt("a checksum is not hexadecimal");
    file.header_checksum = *checksum;
    manifest.files.push_back(std::move(file));
  }
  auto extents = extents_from(body.at("extents"));
  if (!extents) return extents.error();
  manifest.extents = std::move(*extents);
  return manifest;
} catch (const nlohmann::json::exception& e) {
  return corrupt(std::string("has a missing or wrong field: ") + e.what());
}

Result<PartRecord> part_record_from_json(std::string_view text) try {
  ordered_json body;
  if (auto ok = unsealed(text, kPartFormat, body); !ok) return ok.error();
  PartRecord record;
  record.info = info_from(body);
  record.part = body.at("part").get<int>();
  record.num_parts = body.at("num_parts").get<int>();
  auto extents = extents_from(body.at("extents"));
  if (!extents) return extents.error();
  record.extents = std::move(*extents);
  return record;
} catch (const nlohmann::json::exception& e) {
  return corrupt(std::string("has a missing or wrong field: ") + e.what());
}

bool lies_before(const Extent& a, const Extent& b) {
  return std::tie(a.file, a.offset, a.from) < std::tie(b.file, b.offset, b.from);
}

namespace {

Error not_once(const std::string& file, std::int64_t byte, bool twice) {
  return corrupt(file + ": byte " + std::to_string(byte) +
                 (twice ? " was written by two parts" : " was written by no part"));
}

// A tensor that slices share, whose first row starts at `at`: its strided extents, slice after slice, must have every
// byte of every row once. Where the tensor ends; `next` moves behind its extents.
Result<std::int64_t> end_of_strided(const std::string& file, std::int64_t at, const std::vector<Extent>& extents,
                                    std::size_t& next) {
  const Extent first = extents[next];
  if (first.rows.stride % first.rows.run != 0) return corrupt(file + ": a row is no whole number of slices");
  std::int64_t whole = 0;  // bytes of each slice
  for (std::int64_t column = at; column < at + first.rows.stride; column += first.rows.run) {
    std::int64_t done = 0;
    for (; next < extents.size() && extents[next].file == first.file && extents[next].offset == column &&
           extents[next].rows == first.rows;
         ++next) {
      if (extents[next].from != done)
        return not_once(file, column + first.rows.place(std::min(done, extents[next].from)), extents[next].from < done);
      done += extents[next].bytes;
    }
    if (column == at) whole = done;
    if (done != whole || done % first.rows.run != 0)
      return not_once(file, column + first.rows.place(std::min(done, whole)), done > whole);
  }
  return at + whole / first.rows.run * first.rows.stride;
}

}  // namespace

Result<void> check_cover(const std::vector<ManifestFile>& files, const std::vector<Extent>& sorted_extents) {
  std::size_t next = 0;
  for (std::size_t f = 0; f < files.size(); ++f) {
    std::int64_t at = files[f].header_bytes;
    while (next < sorted_extents.size() && sorted_extents[next].file == static_cast<int>(f)) {
      const Extent& extent = sorted_extents[next];
      if (extent.offset != at) return not_once(files[f].name, std::min(at, extent.offset), extent.offset < at);
      if (extent.rows) {
        auto end = end_of_strided(files[f].name, at, sorted_extents, next);
        if (!end) return end.error();
        at = *end;
      } else {
        at += extent.bytes;
        ++next;
      }
    }
    if (at != files[f].bytes)
      return corrupt(files[f].name + (at < files[f].bytes ? ": byte " + std::to_string(at) + " was written by no part"
                                                          : std::string(": parts wrote beyond its end")));
  }
  if (next != sorted_extents.size()) return corrupt("parts wrote a file that the checkpoint does not have");
  return {};
}

}  // namespace regroup::checkpoint
