// Directories that are there, can be made, or cannot: every errno ends in one sentence, and soon.
#include "checkpoint/io/writable.hpp"

#include "checkpoint/io/posix_file.hpp"
#include "tests/checkpoint/support.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <functional>

namespace regroup::checkpoint {
namespace {

namespace fs = std::filesystem;

struct Refusal {
  std::string path, sentence;
};

// What is wrong with a place, each with errno's words.
std::vector<Refusal> refusals(const std::string& dir) {
  std::ofstream(dir + "/file") << "a file";
  fs::create_symlink(dir + "/loop", dir + "/loop");
  fs::create_symlink(dir + "/nothing", dir + "/dangling");
  return {{dir + "/file", "Not a directory"},
          {dir + "/file/below", "Not a directory"},
          {dir + "/file/far/below", "Not a directory"},
          {dir + "/loop", "Too many levels of symbolic links"},
          {dir + "/loop/below", "Too many levels of symbolic links"},
          {dir + "/dangling", "it is a link to what is not there"},
          {dir + "/" + std::string(300, 'x'), "File name too long"},
          {dir + "/" + std::string(300, 'x') + "/below", "File name too long"},
          {dir +
               [] {
                 std::string deep;
                 for (int i = 0; i < 3000; ++i) deep += "/x";
                 return deep;
               }(),
           "File name too long"},
          {"/proc/nope", "No such file or directory"},  // although /proc is there
          {"/proc/nope/below", "No such file or directory"},
          {"/proc/self/nope", "No such file or directory"},
          {"/sys/nope", "not permitted|No such file or directory|Permission denied|Read-only file system"},
          {"", "No such file or directory"}};
}

bool says_one_of(const std::string& text, std::string sentences) {
  for (std::size_t bar = 0; bar != std::string::npos;) {
    bar = sentences.find('|');
    if (text.find(sentences.substr(0, bar)) != std::string::npos) return true;
    if (bar != std::string::npos) sentences.erase(0, bar + 1);
  }
  return false;
}

// In a child with a file system of its own, or as somebody else; false: this machine does not permit it.
bool in_child(const std::function<bool()>& begin, const std::function<bool()>& good) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(!begin() ? 77 : good() ? 0 : 1);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) return false;
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  return true;
}

TEST(MakeDirectory, whatever_is_in_the_way_is_one_sentence) {
  TempDir dir;
  for (const Refusal& refusal : refusals(dir.path())) {
    SCOPED_TRACE(refusal.path.substr(0, 200));
    for (const auto& made : {make_directory(refusal.path), prove_writable(refusal.path)}) {
      ASSERT_FALSE(made);
      EXPECT_TRUE(made.error().context.starts_with("cannot make the directory ")) << made.error().context;
      EXPECT_TRUE(says_one_of(made.error().context, refusal.sentence)) << made.error().context;
    }
  }
}

TEST(MakeDirectory, makes_what_is_missing_above_however_the_path_is_written) {
  TempDir dir;
  fs::create_directory(dir.path() + "/there");
  fs::create_directory_symlink(dir.path() + "/there", dir.path() + "/link");
  for (const std::string path : {"/a", "/b/c/d", "/e/f/", "//g//h//", "/i/./j", "/i/../k/l", "/link", "/link/m/n"}) {
    SCOPED_TRACE(path);
    for (int again = 0; again < 2; ++again) {
      const auto made = make_directory(dir.path() + path);
      EXPECT_TRUE(made) << made.error().context;
      EXPECT_TRUE(fs::is_directory(dir.path() + path));
    }
  }
}

TEST(MakeDirectory, relative_to_a_directory_that_was_deleted) {
  TempDir dir;
  const std::string gone = dir.path() + "/gone";
  fs::create_directory(gone);
  EXPECT_TRUE(in_child([&] { return ::chdir(gone.c_str()) == 0 && ::rmdir(gone.c_str()) == 0; },
                       [] { return !make_directory("a") && !make_directory("a/b"); }));
}

TEST(Writable, a_good_place_is_left_as_it_was) {
  TempDir dir;
  const std::string place = dir.path() + "/new/checkpoints";
  const auto writable = prove_writable(place);
  ASSERT_TRUE(writable) << writable.error().context;
  EXPECT_TRUE(fs::is_empty(place));
}

TEST(Writable, nobody_may_write_there) {
  TempDir dir;
  const std::string place = dir.path() + "/checkpoints";
  fs::create_directory(place);
  for (const std::string& path : {place, dir.path()}) ASSERT_EQ(::chmod(path.c_str(), 0555), 0);
  const auto refused = [](const std::string& path) {
    const auto writable = prove_writable(path);
    return !writable && writable.error().context.find(path) != std::string::npos &&
           writable.error().context.find("Permission denied") != std::string::npos;
  };
  // Root may write everywhere, so it becomes nobody first.
  EXPECT_TRUE(in_child([] { return ::geteuid() != 0 || (::setgid(65534) == 0 && ::setuid(65534) == 0); },
                       [&] { return refused(place) && refused(place + "/below") && refused(dir.path() + "/other"); }));
  for (const std::string& path : {place, dir.path()}) ASSERT_EQ(::chmod(path.c_str(), 0755), 0);  // to be removed
}

TEST(Writable, read_only_and_full_file_systems_say_so) {
  TempDir dir;
  const std::string place = dir.path() + "/mounted";
  fs::create_directory(place);
  const auto refused = [&](const std::string& path, const std::string& words) {
    const auto writable = prove_writable(path);
    return !writable && writable.error().context.find(words) != std::string::npos;
  };
  const auto mounted = [&](unsigned long flags, const char* options) {
    return [&place, flags, options] {
      return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
             ::mount("tmpfs", place.c_str(), "tmpfs", flags, options) == 0;
    };
  };
  const bool permitted = in_child(mounted(MS_RDONLY, "size=64k"), [&] {
    return refused(place, "Read-only file system") && refused(place + "/below", "Read-only file system");
  });
  if (!permitted) GTEST_SKIP() << "a mount namespace of its own is not permitted here";
  EXPECT_TRUE(in_child(mounted(0, "size=4k"), [&] {
    std::ofstream(place + "/fills") << std::string(4096, 'x');
    return refused(place, "No space left on device") && std::distance(fs::directory_iterator(place), {}) == 1;
  }));
  EXPECT_TRUE(in_child(mounted(0, "nr_inodes=1"), [&] { return refused(place, "No space left on device"); }));
}

TEST(FileError, advises_those_who_cannot_read_otherwise_than_those_who_cannot_write) {
  EXPECT_EQ(file_error("read", "/x", EACCES).context,
            "cannot read /x: Permission denied; let the user read it that this program runs as");
  EXPECT_EQ(file_error("open", "/x", EACCES).context,
            "cannot open /x: Permission denied; make it writable or choose another directory");
  EXPECT_EQ(file_error("write", "/x", ENOSPC).context, "cannot write /x: No space left on device; free space there");
  EXPECT_EQ(open_file("/nowhere/x", O_RDONLY).error().context, "cannot read /nowhere/x: No such file or directory");
}

}  // namespace
}  // namespace regroup::checkpoint
