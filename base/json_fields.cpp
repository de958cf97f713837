#include "base/json_fields.hpp"

#include "base/not_the_file.hpp"

#include <algorithm>

namespace regroup::json {
namespace {

// Recursive: a document is at most kDeepest deep. By address: each value of a document stands in one place.
std::optional<std::string> path_to(const Json& from, const Json* wanted) {
  if (&from == wanted) return "";
  if (from.is_object()) {
    for (const auto& [name, value] : from.items()) {
      const auto rest = path_to(value, wanted);
      if (rest) return name + (rest->empty() || rest->front() == '[' ? "" : ".") + *rest;
    }
  } else if (from.is_array()) {
    for (std::size_t i = 0; i < from.size(); ++i) {
      const auto rest = path_to(from[i], wanted);
      if (rest) return "[" + std::to_string(i) + "]" + (rest->empty() || rest->front() == '[' ? "" : ".") + *rest;
    }
  }
  return std::nullopt;
}

}  // namespace

// Up to the first fault of the text this sees the same strings and brackets as the parser, which stops there.
Result<void> check_depth(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDeepest)
        return Error{Code::kBadInput, "lists and objects lie in one another deeper than " + std::to_string(kDeepest) +
                                          ", at byte " + std::to_string(i)};
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return {};
}

std::string Field::path() const { return path_to(*document_, value_).value_or(""); }

void Field::fail(const std::string& text) const {
  const std::string at = path();
  throw BadField{(at.empty() ? "the document" : at) + " " + text};
}

void Field::fail_missing(const char* name) const {
  const std::string at = path();
  throw BadField{(at.empty() ? "" : at + ".") + name + " is missing"};
}

void Field::fail_type(const char* wanted) const {
  constexpr std::size_t kShown = 40;
  std::string value = dump(*value_);
  if (value.size() > kShown) value = value.substr(0, kShown) + "...";
  fail(std::string("must be ") + wanted + ", not " + value);
}

std::string why_no_json(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return "this is not JSON: it is empty";
  if (const std::string what = not_the_file(text); !what.empty()) return "this is " + what;
  std::size_t at = text.size();
  try {
    const Json parsed = Json::parse(text.begin(), text.end());
  } catch (const Json::parse_error& error) {
    at = std::min(text.size(), error.byte > 0 ? error.byte - 1 : 0);
  }
  const std::string_view before = text.substr(0, at);
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::string_view shown = text.substr(line_start, text.find('\n', line_start) - line_start);
  return "this is not JSON at line " + std::to_string(line) + ", column " + std::to_string(at - line_start + 1) +
         ": '" + std::string(shown.substr(0, 60)) + "'";
}

}  // namespace regroup::json
