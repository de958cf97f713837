#include "moe/data/prepare/json_text.hpp"

#include <nlohmann/json.hpp>

namespace regroup {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostNames = 100;  // bytes, and one name

// Keeps one text of the outermost object and builds nothing else.
class OneField final : public nlohmann::json_sax<Json> {
 public:
  OneField(const std::string& field, std::string& text) : field_(field), text_(text) {}

  bool null() override { return other("null"); }
  bool boolean(bool) override { return other("a boolean"); }
  bool number_integer(number_integer_t) override { return other("a number"); }
  bool number_unsigned(number_unsigned_t) override { return other("a number"); }
  bool number_float(number_float_t, const string_t&) override { return other("a number"); }
  bool binary(binary_t&) override { return other("binary"); }
  bool string(string_t& value) override {
    if (!wanted_ || depth_ != 1) return other("a text");
    text_.swap(value);
    found_ = true;
    is_instead.clear();
    wanted_ = false;
    return true;
  }
  bool start_object(std::size_t) override { return other("an object") && ++depth_ > 0; }
  bool end_object() override { return --depth_ >= 0; }
  bool start_array(std::size_t) override { return other("an array") && ++depth_ > 0; }
  bool end_array() override { return --depth_ >= 0; }
  bool key(string_t& name) override {
    wanted_ = depth_ == 1 && outermost == "an object" && name == field_;
    if (depth_ == 1 && outermost == "an object" && names.size() < kMostNames)
      names += (names.empty() ? "" : ", ") + ('"' + name.substr(0, 40) + '"');
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    std::string what = error.what();  // "[json.exception.parse_error.101] parse error at line 1, column 5: …"
    if (const auto at = what.find(": "); at != std::string::npos) what = what.substr(at + 2);
    problem = "not JSON at column " + std::to_string(position) + ": " + what;
    return false;
  }
  [[nodiscard]] bool found() const { return found_; }
  std::string outermost, is_instead, problem;
  std::string names;  // of the fields that are there

 private:
  bool other(const char* what) {
    if (depth_ == 0) outermost = what;
    if (depth_ == 1 && wanted_) is_instead = what;
    if (depth_ == 1) wanted_ = false;
    return true;
  }
  const std::string& field_;
  std::string& text_;
  int depth_ = 0;
  bool wanted_ = false, found_ = false;
};

}  // namespace

std::string text_of_json_line(std::string_view line, const std::string& field, std::string& text) {
  if (const std::size_t nul = line.find('\0'); nul != std::string_view::npos)  // the parser would take it for the end
    return "not JSON at column " + std::to_string(nul + 1) + ": a NUL";
  OneField sax(field, text);
  if (!Json::sax_parse(line.begin(), line.end(), &sax)) return sax.problem.empty() ? "not JSON" : sax.problem;
  if (sax.outermost != "an object") return "expected an object, found " + sax.outermost;
  if (!sax.is_instead.empty()) return "its field \"" + field + "\" is " + sax.is_instead + ", expected a text";
  if (!sax.found())
    return "it has no field \"" + field + "\"" +
           (sax.names.empty() ? "" : ", but " + sax.names + ": --field names the one that holds the text");
  return "";
}

namespace {

// The end of the value that the text begins with, by its brackets; npos: it is cut. What stands for no number becomes
// one in `value`.
std::size_t take_value(std::string_view text, std::string& value) {
  using namespace std::string_view_literals;
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!in_string) {
      const std::string_view rest = text.substr(i);
      if (const std::string_view word = rest.starts_with("NaN"sv)        ? "NaN"sv
                                        : rest.starts_with("Infinity"sv) ? "Infinity"sv
                                                                         : ""sv;
          !word.empty()) {
        value += '0';
        i += word.size() - 1;
        continue;
      }
    }
    value += c;
    if (in_string && c == '\\' && i + 1 < text.size()) value += text[++i];
    if (c == '"') in_string = !in_string;
    if (in_string) continue;
    depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    if (depth == 0) return i + 1;
  }
  return std::string_view::npos;
}

// Good JSON as far as it goes.
bool begins_well(const std::string& value) {
  try {
    return !Json::parse(value).is_discarded();
  } catch (const Json::parse_error& error) {
    return error.byte > value.size();
  }
}

}  // namespace

JsonStart json_start(std::string_view text, bool is_whole) {
  if (!text.starts_with('{') && !text.starts_with('[')) return JsonStart::kNone;
  std::string value;
  const std::size_t end = take_value(text, value);
  const bool is_cut = end == std::string_view::npos, is_object = text.front() == '{';
  if (value.find('"') == std::string::npos || (is_cut && is_whole)) return JsonStart::kNone;
  if (is_cut ? !begins_well(value) : !Json::accept(value)) return JsonStart::kNone;
  const JsonStart object = value.find('\n') == std::string::npos ? JsonStart::kObject : JsonStart::kLongObject;
  if (is_cut) return is_object ? object : JsonStart::kArray;
  const std::size_t next = text.find_first_not_of(" \t", end);
  const char behind = next == std::string_view::npos ? '\n' : text[next];
  if (is_object && (behind == '{' || behind == ',')) return JsonStart::kObjects;
  if (behind != '\n' && behind != '\r') return JsonStart::kNone;  // prose about JSON
  if (is_object) return object;
  const std::size_t more = text.find_first_not_of(" \t\r\n", end);
  return more == std::string_view::npos || text[more] == '[' ? JsonStart::kArray : JsonStart::kNone;
}

}  // namespace regroup
