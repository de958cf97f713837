// json_text.hpp: one field of a line of JSONL. Pure.
#pragma once

#include <string>
#include <string_view>

namespace regroup {

// Sets `text` to the text at `field` of the object in `line`; what is wrong, or "". JSON that holds broken UTF-8 or
// half a surrogate pair is wrong.
std::string text_of_json_line(std::string_view line, const std::string& field, std::string& text);

// Whether it is a JSON object, whole.
bool is_json_object(std::string_view text);

}  // namespace regroup
