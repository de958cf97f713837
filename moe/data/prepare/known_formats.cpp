#include "moe/data/prepare/known_formats.hpp"

#include "base/magic.hpp"
#include "moe/data/prepare/utf8.hpp"

#include <algorithm>

namespace regroup {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kUnpack = "unpack it first";
constexpr std::string_view kExtract = "take the text out of it first";

struct Magic {
  std::string_view bytes;
  std::string_view what, advice;
  bool is_spelled = false;  // letters, with which a text might begin, too
  std::size_t at = 0;
};

constexpr Magic kRefused[] = {
    {magic::kZip, "a ZIP file (also .docx, .xlsx, .odt, .epub, .npz, .pt)", kUnpack},
    {"PK\5\6"sv, "an empty ZIP file", kUnpack},
    {"PK\7\x8"sv, "a part of a ZIP file", kUnpack},
    {"7z\xbc\xaf\x27\x1c"sv, "a 7z archive", kUnpack},
    {"Rar!\x1a\7"sv, "a RAR archive", kUnpack},
    {"\4\x22\x4d\x18"sv, "packed with lz4", kUnpack},
    {"\2\x21\x4c\x18"sv, "packed with lz4 (its old form)", kUnpack},
    {"\3\x21\x4c\x18"sv, "packed with lz4 (its old form)", kUnpack},
    {"\xff\6\0\0sNaPpY"sv, "packed with snappy", kUnpack},
    {"LZIP"sv, "packed with lzip", kUnpack, true},
    {"LRZI"sv, "packed with lrzip", kUnpack, true},
    {"\x89LZO\0\r\n\x1a\n"sv, "packed with lzop", kUnpack},
    {"\x5d\0\0"sv, "packed with lzma (the form before xz)", kUnpack},
    {"\x1f\x9d"sv, "packed with compress (.Z)", kUnpack},
    {"\x1f\xa0"sv, "packed with compress (.Z)", kUnpack},
    {"\x1f\x1e"sv, "packed with pack (.z)", kUnpack},
    {"\x78\x9c"sv, "packed with zlib", kUnpack},
    {"\x78\xda"sv, "packed with zlib", kUnpack},
    {"\x1e\xb5\x2f\xfd"sv, "packed with a zstd before 0.8", kUnpack},
    {"\x37\xa4\x30\xec"sv, "a dictionary of zstd", kUnpack},
    {"ustar"sv, "a tar archive", kUnpack, false, 257},
    {"!<arch>\n"sv, "an ar archive", kUnpack},
    {"070701"sv, "a cpio archive", kUnpack, true},
    {"MSCF\0\0\0\0"sv, "a cabinet archive", kUnpack},
    {"xar!\0"sv, "a xar archive", kUnpack},
    {"hsqs"sv, "a squashfs image", kUnpack, true},
    {"PAR1"sv, "a Parquet file", kExtract, true},
    {"PARE"sv, "an encrypted Parquet file", kExtract, true},
    {"ARROW1\0\0"sv, "an Arrow file", kExtract},
    {"\xff\xff\xff\xff"sv, "a stream of Arrow records", kExtract},
    {"FEA1"sv, "a Feather file", kExtract, true},
    {"ORC"sv, "an ORC file", kExtract, true},
    {"Obj\1"sv, "an Avro file", kExtract},
    {"SQLite format 3\0"sv, "an SQLite database", kExtract},
    {"DUCK"sv, "a DuckDB database", kExtract, false, 8},
    {"\x89HDF\r\n\x1a\n"sv, "an HDF5 file", kExtract},
    {"\x93NUMPY"sv, "a NumPy array", kExtract},
    {magic::kPickles[0], "a Python pickle", kExtract},
    {magic::kPickles[1], "a Python pickle", kExtract},
    {magic::kPickles[2], "a Python pickle", kExtract},
    {magic::kPickles[3], "a Python pickle", kExtract},
    {magic::kGguf, "a GGUF model", kExtract, true},
    {"MMIDIDX\0\0"sv, "an index of prepared data", "name the text that it was made from"},
    {"TNTIDX\0\0"sv, "an index of prepared data", "name the text that it was made from"},
    {"%PDF-"sv, "a PDF document", kExtract},
    {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"sv, "an old Office document (.doc, .xls)", kExtract},
    {"{\\rtf"sv, "an RTF document", kExtract},
    {magic::kGitLfsPointer, "a Git LFS pointer, not the file itself", "`git lfs pull` fetches that"},
};

bool has_at(std::string_view text, std::size_t at, std::string_view part) {
  return text.size() >= at + part.size() && text.substr(at, part.size()) == part;
}

bool is_text(std::string_view begin) {
  const auto is_strange = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && (byte < '\t' || byte > '\r') && byte != 0x1b) || byte == 0x7f;
  };
  if (std::any_of(begin.begin(), begin.end(), is_strange)) return false;
  const std::size_t broken = broken_utf8_at(begin);
  return broken == std::string_view::npos || broken + 4 > begin.size();  // its last character may be cut
}

Packing packing_of(std::string_view begin) {
  if (has_at(begin, 0, magic::kGzip)) return Packing::kGzip;
  if (has_at(begin, 0, "\x28\xb5\x2f\xfd")) return Packing::kZstd;
  // A frame to be skipped, as pzstd writes it first.
  if (has_at(begin, 1, "\x2a\x4d\x18") && (static_cast<unsigned char>(begin[0]) & 0xf0) == 0x50) return Packing::kZstd;
  if (has_at(begin, 0, "\xfd\x37\x7a\x58\x5a\0"sv)) return Packing::kXz;
  const bool has_level = begin.size() > 3 && begin[3] >= '1' && begin[3] <= '9';
  if (has_at(begin, 0, "BZh") && has_level && (has_at(begin, 4, "1AY&SY") || has_at(begin, 4, "\x17rE8P\x90")))
    return Packing::kBzip2;
  return Packing::kNone;
}

}  // namespace

KnownFormat format_of_bytes(std::string_view begin) {
  if (const Packing packing = packing_of(begin); packing != Packing::kNone) return {packing, ""};
  const bool may_be_text = is_text(begin);
  for (const Magic& magic : kRefused)
    if (has_at(begin, magic.at, magic.bytes) && !(magic.is_spelled && may_be_text))
      return {Packing::kNone, "it is " + std::string(magic.what) + ": " + std::string(magic.advice)};
  return {};
}

}  // namespace regroup
