#include "moe/data/prepare/json_text.hpp"

#include <nlohmann/json.hpp>

namespace regroup {
namespace {

using Json = nlohmann::json;

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
  OneField sax(field, text);
  if (!Json::sax_parse(line.begin(), line.end(), &sax)) return sax.problem.empty() ? "not JSON" : sax.problem;
  if (sax.outermost != "an object") return "expected an object, found " + sax.outermost;
  if (!sax.is_instead.empty()) return "its field \"" + field + "\" is " + sax.is_instead + ", expected a text";
  if (!sax.found()) return "it has no field \"" + field + "\"";
  return "";
}

bool is_json_object(std::string_view text) { return text.starts_with('{') && Json::accept(text.begin(), text.end()); }

}  // namespace regroup
