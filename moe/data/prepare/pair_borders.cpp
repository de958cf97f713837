#include "moe/data/prepare/pair_borders.hpp"

#include "moe/data/prepare/utf8.hpp"

#include <algorithm>

namespace regroup {
namespace {

constexpr char32_t kSpaceSymbol = 0x2581;

// The character at `at` of well-formed UTF-8; moves `at` behind it.
inline char32_t decode(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(i < text.size() ? text[i] : 0));
  };
  const char32_t lead = byte(at);
  char32_t value = lead;
  if (lead < 0x80) {
    at += 1;
  } else if (lead < 0xE0) {
    value = (lead & 0x1F) << 6 | (byte(at + 1) & 0x3F);
    at += 2;
  } else if (lead < 0xF0) {
    value = (lead & 0x0F) << 12 | (byte(at + 1) & 0x3F) << 6 | (byte(at + 2) & 0x3F);
    at += 3;
  } else {
    value = (lead & 0x07) << 18 | (byte(at + 1) & 0x3F) << 12 | (byte(at + 2) & 0x3F) << 6 | (byte(at + 3) & 0x3F);
    at += 4;
  }
  at = std::min(at, text.size());
  return value == kSpaceSymbol ? U' ' : value;
}

std::uint64_t key_of(char32_t left, char32_t right) { return (std::uint64_t{left} << 21 | right) + 1; }

}  // namespace

PairBorders::PairBorders(const std::vector<std::string_view>& pieces) : joined_(1024) {
  std::vector<std::uint64_t> pairs;
  for (const std::string_view piece : pieces) {
    if (broken_utf8_at(piece) != std::string_view::npos) continue;  // text is well-formed, so this is never made
    std::size_t at = 0;
    char32_t left = piece.empty() ? 0 : decode(piece, at);
    while (at < piece.size()) {
      const char32_t right = decode(piece, at);
      if (left < 128 && right < 128) {
        joined_ascii_[left][right] = true;
      } else {
        pairs.push_back(key_of(left, right));
      }
      left = right;
    }
  }
  while (joined_.size() < 4 * pairs.size()) joined_.resize(2 * joined_.size());
  for (const std::uint64_t pair : pairs) joined_[slot_of(pair)] = pair;
}

std::size_t PairBorders::slot_of(std::uint64_t pair) const {
  std::size_t slot = (pair * 0x9e3779b97f4a7c15ULL) >> 20 & (joined_.size() - 1);
  while (joined_[slot] != 0 && joined_[slot] != pair) slot = (slot + 1) & (joined_.size() - 1);
  return slot;
}

bool PairBorders::between(char32_t left, char32_t right) const {
  if (left < 128 && right < 128) return !joined_ascii_[left][right];
  return joined_[slot_of(key_of(left, right))] == 0;
}

std::size_t PairBorders::first(std::string_view text) const {
  std::size_t at = 0;
  char32_t left = decode(text, at);
  while (at < text.size()) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (left < 128 && byte < 128) {  // the common case without a call
      if (!joined_ascii_[left][byte]) return at;
      left = byte;
      ++at;
      continue;
    }
    const std::size_t border = at;
    const char32_t right = decode(text, at);
    if (between(left, right)) return border;
    left = right;
  }
  return text.size();
}

std::size_t PairBorders::last(std::string_view text, bool before_space) const {
  const auto begin_of = [&](std::size_t end) {  // of the character that ends there
    std::size_t at = end - 1;
    while (at > 0 && continues_character(text[at])) --at;
    return at;
  };
  if (text.size() < 2) return 0;
  // the last character may go on behind the text: it is only looked at as a right side when whole
  std::size_t at = begin_of(text.size());
  std::size_t end = text.size();
  while (at > 0) {
    const std::size_t left_at = begin_of(at);
    std::size_t left_end = left_at, right_end = at;
    const char32_t left = decode(text, left_end), right = decode(text, right_end);
    const bool whole = broken_utf8_at(text.substr(at, end - at)) == std::string_view::npos;
    if (whole && between(left, right) && (!before_space || right == U' ')) return at;
    end = at;
    at = left_at;
  }
  return 0;
}

}  // namespace regroup
