#include "moe/data/prepare/encode_batch.hpp"

#include "moe/data/prepare/json_text.hpp"
#include "moe/data/prepare/utf8.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cstdio>

namespace regroup {
namespace {

constexpr std::size_t kHashedBytes = 512 << 10;  // every first part is at least as long, or the whole document
constexpr std::size_t kEncodedAtOnce = 1 << 20;

double place_of(std::string_view text) {
  return static_cast<double>(XXH3_64bits(text.data(), std::min(text.size(), kHashedBytes)) >> 11) * 0x1p-53;
}

// Texts from JSON come whole; they are cut as the reader cuts others.
void encode(std::string_view text, bool first, const Tokenizer& tokenizer, Encoder& encoder,
            std::vector<std::int32_t>& tokens) {
  while (text.size() > kEncodedAtOnce) {
    std::size_t size = tokenizer.cut(text.substr(0, kEncodedAtOnce));
    if (size < kEncodedAtOnce / 2) size = last_character_border(text.substr(0, kEncodedAtOnce));
    encoder.encode(text.substr(0, size), first, tokens);
    text.remove_prefix(size);
    first = false;
  }
  encoder.encode(text, first, tokens);
}

}  // namespace

std::string_view text_of(const Batch& batch, const Part& part, const EncodeOptions& options, std::string& scratch,
                         std::string& problem, std::int64_t& line) {
  problem = part.problem;
  line = part.line;
  std::string_view text(batch.text.data() + part.offset, part.size);
  if (!problem.empty()) return {};
  if (part.is_json) {
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) return {};
    scratch.clear();
    problem = text_of_json_line(text, options.field, scratch);
    return problem.empty() ? std::string_view(scratch) : std::string_view();
  }
  if (options.any_bytes) return text;
  const std::size_t broken = std::min(broken_utf8_at(text), text.find('\0'));
  if (broken == std::string_view::npos) return text;
  const std::string_view before = text.substr(0, broken);
  const std::size_t line_break = before.rfind('\n');
  const std::size_t column = line_break == std::string_view::npos ? broken + 1 : broken - line_break;
  char what[200];
  if (text[broken] == '\0') {
    std::snprintf(what, sizeof what,
                  "a NUL at byte %zu of the line: text has none (UTF-16 without its mark, or no text at all?)", column);
  } else {
    std::snprintf(
        what, sizeof what,
        "broken UTF-8: the byte 0x%02x at byte %zu of the line (if it is text of Windows, `iconv -f CP1252 -t "
        "UTF-8` converts it)",
        static_cast<unsigned char>(text[broken]), column);
  }
  problem = what;
  line += std::count(before.begin(), before.end(), '\n');
  return {};
}

void encode_batch(const Batch& batch, const EncodeOptions& options, const Tokenizer& tokenizer, Encoder& encoder,
                  EncodedBatch& out) {
  out.tokens.clear();
  out.parts.clear();
  out.notes = batch.notes;
  out.bytes_done = batch.bytes_done;
  std::string scratch;
  for (const Part& part : batch.parts) {
    EncodedPart encoded{part.input, part.line, part.first, part.last};
    const std::string_view text = text_of(batch, part, options, scratch, encoded.problem, encoded.line);
    const std::size_t before = out.tokens.size();
    if (!text.empty()) encode(text, part.first, tokenizer, encoder, out.tokens);
    encoded.num_tokens = out.tokens.size() - before;
    encoded.text_bytes = text.size();
    if (part.first) encoded.split = place_of(text);
    encoded.is_whole_input = part.is_whole_input;
    out.parts.push_back(std::move(encoded));
  }
}

}  // namespace regroup
