#include "base/bytes_text.hpp"
#include "cli/job/progress_line.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace regroup::cli {
namespace {

using namespace std::chrono_literals;
constexpr ProgressLine::Pace kAtOnce{0s, 0s}, kNever{24h, 24h};

struct TextFile {
  std::FILE* file = std::tmpfile();
  ~TextFile() { std::fclose(file); }
  std::string text() {
    std::rewind(file);
    std::array<char, 4096> buffer{};
    return {buffer.data(), std::fread(buffer.data(), 1, buffer.size(), file)};
  }
};

// A terminal of 20 columns.
struct Terminal {
  int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  std::FILE* file = nullptr;
  Terminal() {
    ::grantpt(master);
    ::unlockpt(master);
    file = std::fopen(::ptsname(master), "w");
    winsize size{};
    size.ws_col = 20;
    ::ioctl(master, TIOCSWINSZ, &size);
  }
  ~Terminal() { ::close(master); }
  std::string text() {  // once, at the end
    std::fclose(file);
    std::string all;
    std::array<char, 4096> buffer{};
    for (ssize_t got = 0; (got = ::read(master, buffer.data(), buffer.size())) > 0;)
      all.append(buffer.data(), static_cast<std::size_t>(got));
    return all;
  }
};

TEST(Progress, says_how_far_how_fast_and_how_long) {
  EXPECT_EQ(byte_progress(420'000'000, 1'000'000'000, 10, "1234 documents"),
            " 42 %  420.0 MB of 1.00 GB  42.0 MB/s  1234 documents  0:13 left");
  EXPECT_EQ(byte_progress(100'000'000, 900'000'000'000, 10, "1 documents"),
            "  0 %  100.0 MB of 900.00 GB  10.0 MB/s  1 documents  24:59:50 left");
  EXPECT_EQ(byte_progress(5'000'000, 0, 1, "7 documents"), "5.0 MB  5.0 MB/s  7 documents");
  EXPECT_EQ(byte_progress(7, 7, 0), "100 %  7 B of 7 B  0.0 MB/s");
}

TEST(Progress, sizes_are_decimal_and_memory_is_binary) {
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(1'500), "1.5 kB");
  EXPECT_EQ(bytes_text(2'000'000'000), "2.00 GB");
  EXPECT_EQ(memory_text(999), "999 B");
  EXPECT_EQ(memory_text(1536), "1.50 KiB");
  EXPECT_EQ(memory_text(std::int64_t{3} << 40), "3.00 TiB");
}

TEST(Progress, a_file_gets_whole_lines_and_none_twice) {
  TextFile out;
  {
    ProgressLine line(out.file, kNever, kAtOnce);
    line.show("step 1");
    line.show("step 1");
    line.say("a note");
    line.show("step 2");
    line.show_bytes("copied", 5'000'000, 10'000'000);
  }
  const std::string text = out.text();
  EXPECT_EQ(text.substr(0, text.find(" MB/s")).substr(0, 21), "step 1\na note\nstep 2\n");
  EXPECT_NE(text.find("\ncopied:  50 %  5.0 MB of 10.0 MB  "), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
}

TEST(Progress, a_short_command_shows_nothing) {
  TextFile out;
  {
    ProgressLine line(out.file, kNever, kNever);
    line.show("step 1");
    line.show_bytes("copied", 1, 2);
  }
  EXPECT_EQ(out.text(), "");
}

TEST(Progress, a_terminal_has_one_line_that_never_wraps_notes_go_above_it_and_it_is_cleared_at_the_end) {
  Terminal out;
  {
    ProgressLine line(out.file, kAtOnce, kNever);
    line.show("0123456789012345678901234");
    line.say("a note");
    line.show("step 2");
  }
  EXPECT_EQ(out.text(), "\r\x1b[K0123456789012345678\r\x1b[Ka note\r\n\r\x1b[Kstep 2\r\x1b[K");
}

TEST(Progress, a_terminal_shows_a_bar) {
  Terminal out;
  {
    ProgressLine line(out.file, kAtOnce, kNever);
    line.show_bytes("", 1, 2);
  }
  EXPECT_EQ(out.text(), "\r\x1b[K[############......\r\x1b[K");
}

}  // namespace
}  // namespace regroup::cli
