// json_text.hpp: one field of a line of JSONL. Pure.
#pragma once

#include <string>
#include <string_view>

namespace regroup {

// Sets `text` to the text at `field` of the object in `line`; what is wrong, or "". JSON that holds broken UTF-8 or
// half a surrogate pair is wrong.
std::string text_of_json_line(std::string_view line, const std::string& field, std::string& text);

// What of JSON a text begins with. NaN and Infinity, which Python writes, count as numbers.
enum class JsonStart {
  kNone,
  kObject,      // one a line, or one alone on the first
  kObjects,     // several on one line
  kLongObject,  // over several lines
  kArray,
};

// `is_whole`: nothing of the text is behind. Values without a text in them (`{}`, `[1]`) are code and prose, too:
// kNone.
JsonStart json_start(std::string_view text, bool is_whole);

}  // namespace regroup
