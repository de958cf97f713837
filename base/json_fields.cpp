#include "base/json_fields.hpp"

namespace regroup::json {
namespace {

// By address: each value of a document stands in one place.
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

std::string Field::path() const { return path_to(*document_, value_).value_or(""); }

void Field::fail(const std::string& text) const {
  const std::string at = path();
  throw BadField{(at.empty() ? "the document" : at) + " " + text};
}

void Field::fail_missing(const char* name) const {
  const std::string at = path();
  throw BadField{(at.empty() ? "" : at + ".") + name + " is missing"};
}

}  // namespace regroup::json
