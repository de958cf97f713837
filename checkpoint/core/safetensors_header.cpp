#include "checkpoint/core/safetensors_header.hpp"

#include "base/json_fields.hpp"
#include "base/not_the_file.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <tuple>
#include <utility>

namespace regroup::checkpoint {
namespace {

using nlohmann::json;

constexpr std::int64_t kLongestHeader = 100'000'000;

constexpr std::array<std::pair<std::string_view, int>, 22> kDtypeBits{
    {{"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
     {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
     {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
     {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}}};

int bits_of(std::string_view dtype) {
  for (const auto& [name, bits] : kDtypeBits)
    if (name == dtype) return bits;
  return 0;
}

Error corrupt(const std::string& what) { return {Code::kCorrupt, "safetensors header: " + what}; }

// nlohmann keeps the last of two equal keys; two readers that keep different ones would see different models.
Result<json> parse_without_duplicates(std::string_view text) {
  std::vector<std::set<std::string>> keys;
  std::string duplicate;
  auto watch = [&](int, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
      duplicate = value.get<std::string>();
    return true;
  };
  auto parsed = regroup::json::parse_text(text, watch);
  if (!parsed) return corrupt(parsed.error().context);
  if (!duplicate.empty()) return corrupt("the key " + duplicate + " is there twice");
  if (!parsed->is_object()) return corrupt("is not an object");
  return parsed;
}

Result<std::int64_t> whole_number(const json& value, const std::string& where) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= (std::uint64_t{1} << 48))
    return corrupt(where + " is not a whole number below 2^48");
  return static_cast<std::int64_t>(value.get<std::uint64_t>());
}

Result<FileTensor> parse_tensor(const std::string& name, const json& entry) {
  if (!entry.is_object()) return corrupt(name + " is not an object");
  for (const auto& [key, value] : entry.items())
    if (key != "dtype" && key != "shape" && key != "data_offsets")
      return corrupt(name + " has the unknown field " + key);
  if (!entry.contains("dtype") || !entry["dtype"].is_string()) return corrupt(name + " has no dtype");
  if (!entry.contains("shape") || !entry["shape"].is_array()) return corrupt(name + " has no shape");
  if (!entry.contains("data_offsets") || !entry["data_offsets"].is_array() || entry["data_offsets"].size() != 2)
    return corrupt(name + " has no pair of data_offsets");
  FileTensor tensor{name, entry["dtype"].get<std::string>(), {}, 0, 0};
  const int bits = bits_of(tensor.dtype);
  if (bits == 0) return corrupt(name + " has the unknown dtype " + tensor.dtype);
  std::int64_t total_bits = bits;
  for (const json& value : entry["shape"]) {
    auto extent = whole_number(value, name + ": a dimension");
    if (!extent) return extent.error();
    tensor.shape.push_back(*extent);
    if (__builtin_mul_overflow(total_bits, *extent, &total_bits)) return corrupt(name + " is too large");
  }
  if (total_bits % 8 != 0) return corrupt(name + " does not end on a byte");
  auto begin = whole_number(entry["data_offsets"][0], name + ": a data offset");
  if (!begin) return begin.error();
  auto end = whole_number(entry["data_offsets"][1], name + ": a data offset");
  if (!end) return end.error();
  if (*end < *begin || *end - *begin != total_bits / 8)
    return corrupt(name + " has " + std::to_string(*end - *begin) + " bytes instead of " +
                   std::to_string(total_bits / 8));
  tensor.begin = *begin;
  tensor.end = *end;
  return tensor;
}

Error no_header(std::string_view start, std::uint64_t length) {
  if (const std::string what = not_the_file(start); !what.empty()) return {Code::kCorrupt, "this is " + what};
  const std::string_view first = start.substr(0, 8);
  if (std::all_of(first.begin(), first.end(), [](unsigned char c) { return c >= ' ' && c < 127; }))
    return {Code::kCorrupt, "this is no safetensors file: it starts with '" + std::string(first) + "'"};
  return corrupt("says it is " + std::to_string(length) + " bytes long, more than " + std::to_string(kLongestHeader));
}

Result<void> check_metadata(const json& metadata) {
  if (!metadata.is_object()) return corrupt("__metadata__ is not an object");
  for (const auto& [key, value] : metadata.items())
    if (!value.is_string()) return corrupt("__metadata__." + key + " is not a string");
  return {};
}

}  // namespace

void place_tensors(std::vector<FileTensor>& tensors) {
  for (FileTensor& tensor : tensors) {
    std::int64_t bytes = bits_of(tensor.dtype) / 8;
    for (std::int64_t extent : tensor.shape) bytes *= extent;
    tensor.begin = 0;
    tensor.end = bytes;
  }
  std::stable_partition(tensors.begin(), tensors.end(), [](const FileTensor& t) { return t.end % kFilePage == 0; });
  std::int64_t at = 0;
  for (FileTensor& tensor : tensors) {
    tensor.begin = at;
    tensor.end += at;
    at = tensor.end;
  }
}

std::string write_safetensors_header(const std::vector<FileTensor>& placed) {
  std::string text = R"({"__metadata__":{"format":"pt"})";  // transformers refuses a file that says anything else
  // As text: an object of thousands of names in the order of the file searches all of them for each that is added.
  for (const FileTensor& tensor : placed)
    text += "," + json(tensor.name).dump() + R"(:{"dtype":")" + tensor.dtype + R"(","shape":)" +
            json(tensor.shape).dump() + R"(,"data_offsets":[)" + std::to_string(tensor.begin) + "," +
            std::to_string(tensor.end) + "]}";
  text += '}';
  const std::size_t bytes = (8 + text.size() + kFilePage - 1) / kFilePage * kFilePage;
  text.resize(bytes - 8, ' ');
  std::string out(8, '\0');
  const std::uint64_t length = text.size();
  for (int i = 0; i < 8; ++i) out[static_cast<std::size_t>(i)] = static_cast<char>(length >> (8 * i) & 0xff);
  return out + text;
}

Result<std::int64_t> safetensors_data_start(std::string_view start, std::int64_t file_bytes) {
  if (start.size() < 8) return corrupt("the file is shorter than 8 bytes");
  std::uint64_t length = 0;
  for (int i = 0; i < 8; ++i)
    length |= std::uint64_t{static_cast<unsigned char>(start[static_cast<std::size_t>(i)])} << (8 * i);
  if (length > kLongestHeader) return no_header(start, length);
  const auto end = static_cast<std::int64_t>(length) + 8;
  if (end > file_bytes)
    return corrupt("ends at byte " + std::to_string(end) + " of a file of " + std::to_string(file_bytes));
  return end;
}

Result<SafetensorsHeader> parse_safetensors_header(std::string_view bytes, std::int64_t file_bytes) {
  auto start = safetensors_data_start(bytes.substr(0, kStartBytes), file_bytes);
  if (!start) return start.error();
  if (static_cast<std::int64_t>(bytes.size()) < *start) return corrupt("is cut off");
  std::string_view text = bytes.substr(8, static_cast<std::size_t>(*start - 8));
  if (text.empty() || text.front() != '{') return corrupt("does not start with {");
  text = text.substr(0, text.find_last_not_of(' ') + 1);
  if (text.back() != '}') return corrupt("has padding other than spaces");
  const auto parsed = parse_without_duplicates(text);
  if (!parsed) return parsed.error();

  SafetensorsHeader header;
  header.data_start = *start;
  for (const auto& [name, entry] : parsed->items()) {
    if (name == "__metadata__") {
      if (entry.is_null()) continue;  // as the reference reader does
      if (auto ok = check_metadata(entry); !ok) return ok.error();
      continue;
    }
    auto tensor = parse_tensor(name, entry);
    if (!tensor) return tensor.error();
    header.tensors.push_back(*tensor);
  }
  std::sort(header.tensors.begin(), header.tensors.end(), [](const FileTensor& a, const FileTensor& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::int64_t at = 0;
  for (const FileTensor& tensor : header.tensors) {
    if (tensor.begin != at)
      return corrupt(tensor.name + " starts at " + std::to_string(tensor.begin) +
                     (tensor.begin > at ? ", which leaves a hole after " : ", which overlaps what ends at ") +
                     std::to_string(at));
    at = tensor.end;
  }
  if (header.file_bytes() != file_bytes)
    return corrupt("tensors end at byte " + std::to_string(header.file_bytes()) + " of a file of " +
                   std::to_string(file_bytes));
  return header;
}

}  // namespace regroup::checkpoint
