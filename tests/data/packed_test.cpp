#include "moe/data/prepare/known_formats.hpp"
#include "tests/data/data_fixture.hpp"

#include <bzlib.h>
#include <lzma.h>

#include <sstream>

namespace regroup {
namespace {

using namespace std::string_literals;

std::string xz(const std::string& text) {
  std::string out(::lzma_stream_buffer_bound(text.size()), '\0');
  std::size_t size = 0;
  EXPECT_EQ(::lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const std::uint8_t*>(text.data()),
                                      text.size(), reinterpret_cast<std::uint8_t*>(out.data()), &size, out.size()),
            LZMA_OK);
  return out.substr(0, size);
}

std::string bzip2(const std::string& text) {
  std::string out(text.size() + text.size() / 100 + 600, '\0');
  auto size = static_cast<unsigned>(out.size());
  EXPECT_EQ(::BZ2_bzBuffToBuffCompress(out.data(), &size, const_cast<char*>(text.data()),
                                       static_cast<unsigned>(text.size()), 9, 0, 0),
            BZ_OK);
  return out.substr(0, size);
}

// As `zstd --long=31` makes it of a pipe: a window of 2 GiB, and no word of how long the text is.
std::string zstd_long(const std::string& text) {
  ZSTD_CCtx* context = ::ZSTD_createCCtx();
  ::ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 31);
  ::ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  std::string out(::ZSTD_compressBound(text.size()), '\0');
  ZSTD_inBuffer in{text.data(), text.size() / 2, 0};
  ZSTD_outBuffer packed{out.data(), out.size(), 0};
  ::ZSTD_compressStream2(context, &packed, &in, ZSTD_e_flush);
  in.size = text.size();
  ::ZSTD_compressStream2(context, &packed, &in, ZSTD_e_end);
  ::ZSTD_freeCCtx(context);
  return out.substr(0, packed.pos);
}

std::string skippable_frame(const std::string& content) {
  return "\x50\x2a\x4d\x18"s + static_cast<char>(content.size()) + "\0\0\0"s + content;
}

TEST_F(PrepareTest, every_packing_gives_the_text_in_one_part_in_several_and_in_each_other) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "line " + std::to_string(i * 7919) + "\n";
  const std::string half = text.substr(0, 5000), rest = text.substr(5000);
  const std::string packed[] = {
      xz(text),
      xz(half) + xz(rest) + std::string(8, '\0'),
      xz(half) + std::string(4, '\0') + xz(rest),
      bzip2(text),
      bzip2(half) + bzip2(rest),
      bzip2("") + bzip2(text),
      zstd_long(text),
      skippable_frame("abcd") + zstd(half) + skippable_frame("") + zstd(rest),
      gzip(gzip(text)),
      zstd(xz(bzip2(gzip(text)))),
      gzip("") + gzip(text),
  };
  for (std::size_t i = 0; i < std::size(packed); ++i) {
    write("in", packed[i]);
    ASSERT_TRUE(run({"in"})) << i << ": " << run({"in"}).error().context;
    EXPECT_TRUE(documents_of("out") == Documents{text}) << i;
  }
  for (const char* ending : {".xz", ".bz2"}) {  // the name behind the packing's says what is in it
    write("in.jsonl"s + ending, (ending == ".xz"s ? xz : bzip2)("{\"text\": \"one\"}\n"));
    ASSERT_TRUE(run({"in.jsonl"s + ending}));
    EXPECT_EQ(documents_of("out"), Documents{"one"});
  }
}

TEST_F(PrepareTest, packed_data_that_is_cut_or_damaged_is_named_at_every_place) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += std::to_string(i * 7919) + "\n";
  options.format = TextFormat::kLines;
  for (const std::string& packed : {xz(text), bzip2(text), gzip(text), zstd(text), gzip(xz(text))}) {
    for (const std::size_t size : {packed.size() / 8, packed.size() / 2, packed.size() - 1}) {
      write("in", packed.substr(0, size));
      EXPECT_SAYS(error_of({"in"}), "the file was cut");
    }
    write("in", packed + "and a tail that nobody packed");
    EXPECT_SAYS(error_of({"in"}), "the packed data is damaged near byte");
  }
  for (const std::string& packed : {xz(text) + std::string(3, '\0') + xz(text), xz(text) + std::string(6, '\0')}) {
    write("in", packed);
    EXPECT_SAYS(error_of({"in"}), " zeros follow a stream, which come in 4s");
  }
  write("in", gzip(text) + std::string(4, '\0') + gzip(text));
  EXPECT_SAYS(error_of({"in"}), "something follows the end");
  for (const std::string& packed : {xz(text), bzip2(text), gzip(text)}) {
    std::string flipped = packed;
    flipped[packed.size() / 2] ^= 0x10;
    write("in", flipped);
    EXPECT_NE(error_of({"in"}), "");  // the checksum comes last: what it unpacks to may be no text before
  }
  std::string often = text;
  for (int i = 0; i < 5; ++i) often = gzip(often);
  write("in", often);
  EXPECT_SAYS(error_of({"in"}), "it was packed more than 4 times");
}

TEST_F(PrepareTest, what_is_known_and_is_no_text_is_refused_by_name_as_any_bytes_too) {
  const std::string tar = "file.txt" + std::string(249, '\0') + "ustar" + std::string(250, '\0');
  const std::vector<std::pair<std::string, std::string>> files = {
      {"PK\3\4\x14\0\0\0"s, "a ZIP file (also .docx"},
      {"PK\5\6"s + std::string(18, '\0'), "an empty ZIP file"},
      {"7z\xbc\xaf\x27\x1c\0\4"s, "a 7z archive"},
      {"Rar!\x1a\7\1\0"s, "a RAR archive"},
      {"\4\x22\x4d\x18\x64"s, "packed with lz4"},
      {"\xff\6\0\0sNaPpY"s, "packed with snappy"},
      {"\x5d\0\0\x80\0"s, "packed with lzma"},
      {"LZIP\1\x0c"s, "packed with lzip"},
      {"\x1f\x9d\x90"s, "packed with compress"},
      {"\x78\x9c\xcb\x48"s, "packed with zlib"},
      {tar, "a tar archive"},
      {gzip(tar), "unpacked, it is a tar archive"},
      {"PAR1\x15\4\x15\x10"s, "a Parquet file"},
      {"ARROW1\0\0"s, "an Arrow file"},
      {"\xff\xff\xff\xff\x10\1\0\0"s, "a stream of Arrow records"},
      {"SQLite format 3\0"s, "an SQLite database"},
      {"\x93NUMPY\1\0"s, "a NumPy array"},
      {"\x80\4\x95\x10"s, "a Python pickle"},
      {"\x89HDF\r\n\x1a\n"s, "an HDF5 file"},
      {"MMIDIDX\0\0\1\0"s, "an index of prepared data"},
      {"%PDF-1.7\n"s, "a PDF document"},
      {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"s, "an old Office document"},
      {"{\\rtf1\\ansi"s, "an RTF document"},
      {"version https://git-lfs.github.com/spec/v1\noid"s, "a Git LFS pointer, not the file itself"},
  };
  for (const auto& [begin, name] : files)
    for (const bool any_bytes : {false, true}) {
      options.any_bytes = any_bytes;
      write("in", begin);
      EXPECT_SAYS(error_of({"in"}), "in:1: ");
      EXPECT_SAYS(error_of({"in"}), "it is " + name.substr(name.starts_with("unpacked") ? 16 : 0));
    }
  options.skip_bad = true;
  write("text.txt", "text");
  auto made = run({"in", "text.txt"});
  ASSERT_TRUE(made) << made.error().context;
  EXPECT_EQ(made->num_bad, 1);
  EXPECT_EQ(documents_of("out"), Documents{"text"});
}

TEST(KnownFormats, text_that_begins_with_the_letters_of_one_stays_text) {
  for (const char* text :
       {"", "P", "PAR1 is a gene", "ORCA", "ORC", "GGUF is a format of files", "LZIP", "BZh is no word", "BZh91AY",
        "070701 was a date", "%PDF", "PK", "x^2", "version https://example.org"}) {
    EXPECT_EQ(format_of_bytes(text).refused, "") << text;
    EXPECT_EQ(format_of_bytes(text).packing, Packing::kNone) << text;
  }
  EXPECT_NE(format_of_bytes("ORC\x0a\x0b\1"s + "\0\0"s).refused, "");
}

}  // namespace
}  // namespace regroup
