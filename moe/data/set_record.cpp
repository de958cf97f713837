#include "moe/data/set_record.hpp"

#include "base/json_fields.hpp"

namespace regroup {
namespace {

SetRecord read_fields(const json::Field& in) {
  const auto count = [&](const char* key) {
    const auto value = in[key].integer<std::int64_t>();
    if (value < 0) in[key].fail("is below 0");
    return value;
  };
  const auto checksum = [&](const char* key) {
    auto text = in[key].string();
    if (text.empty()) in[key].fail("is empty");
    return text;
  };
  const auto text = [&](const char* key) {
    const auto found = in.find(key);
    return found ? found->string() : std::string();
  };
  if (const auto format = in["format"].integer<std::int64_t>(); format != kPreparedFormat)
    in["format"].fail("is " + std::to_string(format) + ", but this program reads " + std::to_string(kPreparedFormat));
  SetRecord record;
  record.num_tokens = count("num_tokens");
  record.max_token = count("max_token");
  if (in.find("vocab_size")) record.vocab_size = count("vocab_size");
  if (in.find("num_documents")) record.num_documents = count("num_documents");
  if (const auto found = in.find("end_of_sequence")) static_cast<void>(found->integer<std::int64_t>());  // for people
  record.bin_xxh3 = checksum("bin_xxh3");
  record.idx_xxh3 = checksum("idx_xxh3");
  record.sums_xxh3 = text("sums_xxh3");
  record.tokenizer = text("tokenizer");
  record.tokenizer_path = text("tokenizer_path");
  record.tokenizer_xxh3 = text("tokenizer_xxh3");
  record.token_type = text("token_type");
  if (!record.token_type.empty() && record.token_type != kTokenTypes[0] && record.token_type != kTokenTypes[1])
    in["token_type"].fail("is '" + record.token_type + "', not one of uint16, int32");
  return record;
}

}  // namespace

Result<SetRecord> read_set_record(std::string_view text, const std::string& path) {
  auto record = json::read_json(text, path, read_fields, Code::kCorrupt);
  if (!record)
    return Error{Code::kCorrupt,
                 record.error().context + "; it was cut or damaged, or is of another version: prepare the data again"};
  return record;
}

}  // namespace regroup
