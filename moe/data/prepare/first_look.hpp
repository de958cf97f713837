// first_look.hpp: what an input's name and its beginning tell before any of it becomes training data. Pure.
//
// Bad input is refused here where a line of it would not be enough to say what is wrong: the wrong encoding, JSON that
// would be read as text, a page of HTML instead of JSON, a download that was not finished.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace regroup {

enum class TextFormat {
  kAuto,   // .jsonl, .ndjson and .json (with .gz, .zst, .xz, .bz2 behind them or not) are JSONL, all else is text
  kText,   // an input is a document
  kLines,  // a line is a document, its line break (LF or CR LF) dropped
  kJsonl,  // a line is a JSON object, one field of it is a document
};

// What kAuto means for an input of that name; any other format is itself.
TextFormat format_for(TextFormat asked, const std::string& name);

struct FirstLook {
  std::size_t skip = 0;  // bytes of a UTF-8 byte order mark
  std::string problem;   // why the input is not read, and what to do
  std::string note;      // what its owner may not expect
};

inline constexpr std::size_t kFirstLookBytes = 64 << 10;

// `begin`: the first kFirstLookBytes, or all of the input. `any_bytes`: it need not be UTF-8.
FirstLook look_at(std::string_view begin, const std::string& name, TextFormat asked, bool any_bytes);

}  // namespace regroup
