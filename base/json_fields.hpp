// json_fields.hpp: reading JSON objects field by field, with errors that name the field. For .cpp files only: it brings
// in nlohmann/json.
//
// All JSON from outside (etcd, other processes, files) is read here, because a document that is nested without end
// would overflow the stack of whoever walks it: `parse_text` refuses what is nested deeper than kDeepest.
//
// Inside `read_json` a wrong or missing field throws; outside it is a Result: "plan: groups[1].first_chain is missing".
// One rule for what JSON cannot say: NaN and infinity are written as null (nlohmann does) and null is read as NaN by
// `real_or_nan`; a worker is the text of its id. Where a field may be left out, null means the same.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/words.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace regroup::json {

using Json = nlohmann::json;

struct BadField {
  std::string text;
};

// What we write ourselves is at most 8 deep.
constexpr int kDeepest = 64;
// kBadInput: lists and objects lie in one another deeper than kDeepest.
Result<void> check_depth(std::string_view text);

// Where a text stops being JSON, and its line there: "this is not JSON at line 3, column 7: 'x'"; or what it is
// instead.
std::string why_no_json(std::string_view text);

// kBadInput: no JSON, or too deep. `Value`: any nlohmann::basic_json; `watch`: as nlohmann's parser takes it.
template <class Value = Json>
Result<Value> parse_text(std::string_view text, const typename Value::parser_callback_t& watch = nullptr) {
  if (auto flat = check_depth(text); !flat) return flat.error();
  if (const auto at = text.find('\0'); at != std::string_view::npos)  // the parser would take it for the end
    return Error{Code::kBadInput, "this is not JSON at byte " + std::to_string(at) + ": a NUL"};
  Value document = Value::parse(text.begin(), text.end(), watch, false);
  if (document.is_discarded()) return Error{Code::kBadInput, why_no_json(text)};
  return Result<Value>(boost::system::in_place_value, std::move(document));  // it converts to an Error, too
}

// A value of a document. Holds two pointers; where the value stands is searched only when something is wrong with it.
class Field {
 public:
  explicit Field(const Json& document) : document_(&document), value_(&document) {}

  [[nodiscard]] const Json& raw() const { return *value_; }
  [[nodiscard]] std::string path() const;                 // "groups[1].first_chain"; empty: the document itself
  [[noreturn]] void fail(const std::string& text) const;  // text: "is too large"

  [[nodiscard]] Field operator[](const char* name) const {
    const auto found = object().find(name);
    if (found == value_->end()) fail_missing(name);
    return {*document_, *found};
  }
  // Absent or null: no value.
  [[nodiscard]] std::optional<Field> find(const char* name) const {
    const auto found = object().find(name);
    if (found == value_->end() || found->is_null()) return std::nullopt;
    return Field(*document_, *found);
  }
  [[nodiscard]] bool has(const char* name) const { return object().contains(name); }  // null, too

  [[nodiscard]] std::vector<Field> items() const {
    if (!value_->is_array()) fail_type("a list");
    std::vector<Field> out;
    out.reserve(value_->size());
    for (const Json& item : *value_) out.push_back({*document_, item});
    return out;
  }
  // As items(), but exactly so many.
  [[nodiscard]] std::vector<Field> items(std::size_t count) const {
    auto out = items();
    if (out.size() != count) fail("must be a list of " + std::to_string(count));
    return out;
  }
  [[nodiscard]] std::vector<std::pair<std::string, Field>> members() const {
    std::vector<std::pair<std::string, Field>> out;
    for (const auto& [name, value] : object().items()) out.emplace_back(name, Field(*document_, value));
    return out;
  }
  template <class Int>
  [[nodiscard]] std::vector<Int> integers() const {
    std::vector<Int> out;
    for (const Field& item : items()) out.push_back(item.template integer<Int>());
    return out;
  }

  template <class Int>
  [[nodiscard]] Int integer() const {
    static_assert(std::is_integral_v<Int>);
    if (!value_->is_number_integer()) fail_type("a whole number");
    using Limits = std::numeric_limits<Int>;
    if (value_->is_number_unsigned()) {
      const auto wide = value_->get<std::uint64_t>();
      if (wide > static_cast<std::uint64_t>(Limits::max())) fail("is too large");
      return static_cast<Int>(wide);
    }
    const auto wide = value_->get<std::int64_t>();
    if (std::is_unsigned_v<Int> || wide < static_cast<std::int64_t>(Limits::min())) fail("is too small");
    return static_cast<Int>(wide);
  }
  [[nodiscard]] double real() const {
    if (!value_->is_number()) fail_type("a number");
    return value_->get<double>();
  }
  [[nodiscard]] double real_or_nan() const { return value_->is_null() ? std::nan("") : real(); }
  [[nodiscard]] bool boolean() const {
    if (!value_->is_boolean()) fail_type("true or false");
    return value_->get<bool>();
  }
  [[nodiscard]] std::string string() const {
    if (!value_->is_string()) fail_type("a string");
    return value_->get<std::string>();
  }

  // An enum that is a number on the wire: 0 to `last`.
  template <class Enum>
  [[nodiscard]] Enum number_of(Enum last) const {
    const int number = integer<int>();
    if (number < 0 || number > static_cast<int>(last)) fail("is " + std::to_string(number) + ", which is unknown");
    return static_cast<Enum>(number);
  }

  template <class Enum, std::size_t N>
  [[nodiscard]] Enum word(const Words<Enum, N>& words) const {
    const std::string text = string();
    if (const auto known = words.find(text)) return *known;
    std::string known;
    for (const char* word : words.words) known += std::string(known.empty() ? "" : ", ") + word;
    fail("is '" + text + "', not one of " + known);
  }

  [[nodiscard]] WorkerId worker() const {
    WorkerId id;
    if (!parse_worker_id(string(), id))
      fail("must be a worker id (node/incarnation/slot/start), not '" + string() + "'");
    return id;
  }

  template <class StrongId>
  [[nodiscard]] StrongId id() const {
    using Value = decltype(StrongId::value);
    if constexpr (std::is_same_v<Value, std::string>) {
      return StrongId(string());
    } else {
      return StrongId(integer<Value>());
    }
  }

 private:
  Field(const Json& document, const Json& value) : document_(&document), value_(&value) {}
  [[nodiscard]] const Json& object() const {
    if (!value_->is_object()) fail_type("an object");
    return *value_;
  }
  [[noreturn]] void fail_missing(const char* name) const;
  [[noreturn]] void fail_type(const char* wanted) const;

  const Json* document_;
  const Json* value_;
};

// Text from outside may hold bytes that are no UTF-8: they are replaced, never an exception.
inline std::string dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

// `read(Field)` makes the value; `what` names the document in errors, `code` is theirs.
template <class Read>
auto read_json(std::string_view text, const std::string& what, Read read, Code code = Code::kBadInput)
    -> Result<decltype(read(std::declval<Field>()))> {
  const auto document = parse_text(text);
  if (!document) return Error{code, what + ": " + document.error().context};
  try {
    return read(Field(*document));
  } catch (const BadField& bad) {
    return Error{code, what + ": " + bad.text};
  }
}

}  // namespace regroup::json
