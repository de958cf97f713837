// whole_number.hpp: what an option of a command line may say where it means a whole number. The reader of options takes
// a leading 0 for octal and what is too large for the largest number. Pure.
#pragma once

#include <charconv>
#include <limits>
#include <string>

namespace regroup {

// "" if `text` is a number of type T in decimal digits, else what is wrong. For CLI::Option::check.
template <class T>
std::string whole_number(const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const auto first = text.find_first_not_of('-');
  const bool has_leading_zero = first != std::string::npos && text[first] == '0' && first + 1 < text.size();
  if (error == std::errc() && end == text.data() + text.size() && !has_leading_zero) return {};
  return "'" + text + "' must be a whole number from " + std::to_string(std::numeric_limits<T>::min()) + " to " +
         std::to_string(std::numeric_limits<T>::max()) + ", in decimal digits" +
         (has_leading_zero ? " without a leading 0" : "");
}

}  // namespace regroup
