// json_fields.hpp: reading JSON objects field by field, with errors that name the field. For .cpp files only: it brings
// in nlohmann/json.
//
// Inside `read_json` a wrong or missing field throws; outside it is a Result with kBadInput: "plan:
// groups[1].first_chain is missing".
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/words.hpp"
#include "layout/interval.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace regroup::json {

using Json = nlohmann::json;

struct BadField {
  std::string text;
};

// A value and where it stands, for errors.
class Field {
 public:
  Field(const Json& value, std::string path) : value_(&value), path_(std::move(path)) {}

  [[nodiscard]] const Json& raw() const { return *value_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[noreturn]] void fail(const std::string& text) const {
    throw BadField{(path_.empty() ? "the document" : path_) + " " + text};
  }

  [[nodiscard]] Field operator[](const char* name) const {
    if (!value_->is_object()) fail("must be an object");
    const auto found = value_->find(name);
    if (found == value_->end()) Field(*value_, path_.empty() ? name : path_ + "." + name).fail("is missing");
    return {*found, path_.empty() ? name : path_ + "." + name};
  }
  // Absent or null: no value.
  [[nodiscard]] std::optional<Field> find(const char* name) const {
    if (!value_->is_object()) fail("must be an object");
    const auto found = value_->find(name);
    if (found == value_->end() || found->is_null()) return std::nullopt;
    return Field(*found, path_.empty() ? name : path_ + "." + name);
  }

  [[nodiscard]] std::vector<Field> items() const {
    if (!value_->is_array()) fail("must be a list");
    std::vector<Field> out;
    out.reserve(value_->size());
    for (std::size_t i = 0; i < value_->size(); ++i)
      out.emplace_back((*value_)[i], path_ + "[" + std::to_string(i) + "]");
    return out;
  }

  template <class Int>
  [[nodiscard]] Int integer() const {
    static_assert(std::is_integral_v<Int>);
    if (!value_->is_number_integer()) fail("must be a whole number");
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
    if (!value_->is_number()) fail("must be a number");
    return value_->get<double>();
  }
  // JSON has no NaN or infinity; they are written as null and read as NaN.
  [[nodiscard]] double real_or_nan() const { return value_->is_null() ? std::nan("") : real(); }
  [[nodiscard]] bool boolean() const {
    if (!value_->is_boolean()) fail("must be true or false");
    return value_->get<bool>();
  }
  [[nodiscard]] std::string string() const {
    if (!value_->is_string()) fail("must be a string");
    return value_->get<std::string>();
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

  [[nodiscard]] IntervalSet blocks() const {
    IntervalSet out;
    for (const Field& pair : items()) {
      const auto ends = pair.items();
      if (ends.size() != 2) pair.fail("must be [lo, hi]");
      const Interval interval{ends[0].integer<int>(), ends[1].integer<int>()};
      if (interval.lo < 0 || interval.lo >= interval.hi) pair.fail("must be [lo, hi] with 0 <= lo < hi");
      out.add(interval);
    }
    return out;
  }

 private:
  const Json* value_;
  std::string path_;
};

inline Json to_value(const IntervalSet& blocks) {
  Json out = Json::array();
  for (const Interval& interval : blocks.intervals()) out.push_back({interval.lo, interval.hi});
  return out;
}

// Text from outside may hold bytes that are no UTF-8: they are replaced, never an exception.
inline std::string dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

// `read(Field)` makes the value; `what` names the document in errors.
template <class Read>
auto read_json(const std::string& text, const char* what, Read read) -> Result<decltype(read(std::declval<Field>()))> {
  const Json document = Json::parse(text, nullptr, false);
  if (document.is_discarded())
    return Error{Code::kBadInput, std::string(what) + ": this is not JSON: '" + text.substr(0, 60) + "'"};
  try {
    return read(Field(document, ""));
  } catch (const BadField& bad) {
    return Error{Code::kBadInput, std::string(what) + ": " + bad.text};
  }
}

}  // namespace regroup::json
