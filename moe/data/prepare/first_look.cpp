#include "moe/data/prepare/first_look.hpp"

#include "moe/data/prepare/json_text.hpp"

#include <algorithm>
#include <cctype>
#include <initializer_list>

namespace regroup {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kNextLine = "\xc2\x85", kLineSeparator = "\xe2\x80\xa8";

std::string_view without_packing(std::string_view name) {
  for (const std::string_view ending : {".gz"sv, ".zst"sv, ".xz"sv, ".bz2"sv})
    if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
  return name;
}

bool ends_with_one_of(std::string_view name, std::initializer_list<std::string_view> endings) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return lower.ends_with(ending); });
}

bool begins_with_word(std::string_view text, std::string_view lower_word) {
  return text.size() >= lower_word.size() &&
         std::equal(lower_word.begin(), lower_word.end(), text.begin(), [](char wanted, char c) {
           return wanted == static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
         });
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") + 1 - first);
}

std::string wide_encoding(std::string_view begin) {
  if (begin.starts_with("\xff\xfe\0\0"sv) || begin.starts_with("\0\0\xfe\xff"sv)) return "UTF-32";
  if (begin.starts_with("\xff\xfe"sv) || begin.starts_with("\xfe\xff"sv)) return "UTF-16";
  return "";
}

bool is_page(std::string_view text) {
  const bool is_error = text.starts_with("<?xml") && text.substr(0, 512).find("<Error>") != std::string_view::npos;
  return begins_with_word(text, "<!doctype html") || begins_with_word(text, "<html") || is_error;
}

std::string_view first_line(std::string_view text) { return trimmed(text.substr(0, text.find('\n'))); }

// Data of programs under a name, or a --format, of text: what it is and how it becomes JSONL; "" where it is text.
std::string data_in_text(std::string_view text, bool is_whole) {
  switch (json_start(text, is_whole)) {
    case JsonStart::kObject:
      return "its first line is a JSON object: --format jsonl takes one field of each line";
    case JsonStart::kObjects:
      return "its first line is several JSON objects: `jq -c .` makes lines of them for --format jsonl";
    case JsonStart::kLongObject:
      return "it is JSON, over several lines: `jq -c .` makes one line of each object for --format jsonl";
    case JsonStart::kArray:
      return "it is a JSON array: `jq -c '.[]'` makes lines of it for --format jsonl";
    case JsonStart::kNone:
      break;
  }
  const std::string_view line = first_line(text);
  if (line.starts_with("{'") && line.ends_with('}') && line.find("': ") != std::string_view::npos)
    return "its first line is a dict as Python prints it: json.dumps makes JSON of each for --format jsonl";
  return "";
}

std::string problem_of_json(std::string_view text) {
  if (text.substr(0, 4).find('\0') != std::string_view::npos)
    return "it begins with NULs, not as JSON: UTF-16 without its byte order mark?";
  if (text.starts_with('<'))
    return std::string("it begins as ") +
           (text.starts_with("<?xml") ? "XML"
            : is_page(text)           ? "an HTML page"
                                      : "HTML or XML") +
           ", not as JSON: a server's error instead of the file?";
  const bool is_one_line = trimmed(text) == first_line(text);
  if (text.starts_with('[') && (is_one_line || first_line(text) == "[" || first_line(text).ends_with(',')))
    return "it is one JSON array, not one object a line: `jq -c '.[]'` makes lines of it";
  if (first_line(text) == "{")
    return "its JSON objects go over several lines, one a line is read: `jq -c .` makes lines of them";
  return "";
}

std::string other_line_breaks(std::string_view text) {
  if (trimmed(text).find('\n') != std::string_view::npos) return "";
  const std::string_view inner = trimmed(text);
  const char* what = inner.find('\r') != std::string_view::npos             ? "CR"
                     : inner.find(kNextLine) != std::string_view::npos      ? "NEL (U+0085)"
                     : inner.find(kLineSeparator) != std::string_view::npos ? "U+2028"
                                                                            : nullptr;
  return what == nullptr ? "" : std::string("its lines end with ") + what + " alone, lines are read that end with LF";
}

}  // namespace

TextFormat format_for(TextFormat asked, const std::string& name) {
  if (asked != TextFormat::kAuto) return asked;
  return ends_with_one_of(without_packing(name), {".jsonl", ".ndjson", ".json"}) ? TextFormat::kJsonl
                                                                                 : TextFormat::kText;
}

FirstLook look_at(std::string_view begin, const std::string& name, TextFormat asked, bool any_bytes) {
  FirstLook look;
  if (ends_with_one_of(name, {".part", ".partial", ".crdownload", ".download", ".incomplete", ".aria2"})) {
    look.problem = "by its name it is a download that was not finished: finish it, or rename it";
    return look;
  }
  if (const std::string wide = wide_encoding(begin); !wide.empty()) {
    (any_bytes ? look.note : look.problem) =
        "it is text in " + wide + ", as its byte order mark says: `iconv -f " + wide + " -t UTF-8` makes UTF-8 of it";
    return look;
  }
  while (!any_bytes && begin.substr(look.skip).starts_with(kByteOrderMark)) look.skip += kByteOrderMark.size();
  begin.remove_prefix(look.skip);
  const std::string_view text = begin.substr(std::min(begin.find_first_not_of(" \t\r\n"), begin.size()));
  const TextFormat format = format_for(asked, name);
  if (format != TextFormat::kText && text.empty() && begin.size() < kFirstLookBytes) {
    look.note = "it is empty";
    return look;
  }
  if (format == TextFormat::kJsonl) {
    look.problem = problem_of_json(text);
    return look;
  }
  const bool is_auto = asked == TextFormat::kAuto;
  if (const std::string data = data_in_text(text, begin.size() + look.skip < kFirstLookBytes); !data.empty()) {
    (is_auto ? look.problem : look.note) =
        data + (is_auto ? "; --format text or lines reads it as it is" : "; it is read as it is, keys and quotes too");
  } else if (is_auto && ends_with_one_of(without_packing(name), {".csv", ".tsv"})) {
    look.problem =
        "by its name it is a table: make JSONL of it, one object a row; --format text or lines reads it as "
        "it is";
  } else if (is_page(text) && !ends_with_one_of(without_packing(name), {".html", ".htm", ".xhtml"})) {
    look.note = "it begins as a page of HTML or XML: a server's error instead of the file?";
  } else if (text.starts_with("HTTP/1.") || text.starts_with("HTTP/2 ")) {
    look.note = "it begins with the head of a server's answer, as `curl -i` writes it";
  } else if (format == TextFormat::kLines && !any_bytes) {
    look.problem = other_line_breaks(begin);
  } else if (format == TextFormat::kText && !any_bytes && begin.find("\r\n") != std::string_view::npos) {
    look.note = "its lines end with CR LF, as Windows writes them, and stay so; `dos2unix` makes LF of them";
  }
  return look;
}

}  // namespace regroup
