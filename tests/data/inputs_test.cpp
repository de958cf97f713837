// A run never reads what it writes, and never overwrites what it did not write.
#include "tests/data/data_fixture.hpp"

#include <sys/stat.h>

namespace regroup {
namespace {

TEST_F(PrepareTest, a_second_run_makes_the_same_data_whatever_way_its_output_is_reached) {
  for (int i = 0; i < 40; ++i) write("in/" + std::to_string(10 + i) + ".txt", "document " + std::to_string(i));
  options.validation = 0.2;
  ASSERT_TRUE(run({"in"}, "in/data"));
  const std::string first = all_of("in/data") + all_of("in/data-validation");
  write("in/data.bin.tmp4711", "a run that was killed");
  write("in/data-validation.json.tmp4711", "the same");
  fs::create_directory_symlink("in", dir / "link");
  fs::create_symlink("../in/data.bin", dir / "in/soft.txt");
  const std::vector<std::pair<std::vector<std::string>, std::string>> ways{
      {{"in"}, "in/data"},           {{"in/*"}, "in/data"},
      {{"in"}, "link/data"},         {{"link"}, "in/data"},
      {{"link/../in/."}, "in/data"}, {{"in"}, "in/../link/data"},
      {{"in"}, "in/data"},           {{"in", "in/data.bin"}, "in/data"}};
  for (const auto& [names, out] : ways) {
    fs::remove(dir / "hard.txt");
    fs::remove(dir / "in/hard.txt");
    fs::create_hard_link(dir / "in/data.idx", dir / "in/hard.txt");
    auto made = run(names, out);
    ASSERT_TRUE(made) << made.error().context;
    EXPECT_TRUE(all_of("in/data") + all_of("in/data-validation") == first) << names[0] << " " << out;
    EXPECT_SAYS(complaints.at(0), "left out");
  }
  options.validation = 0;  // the set that was held out is no text either
  fs::remove(dir / "in/hard.txt");
  ASSERT_TRUE(run({"in"}, "in/data"));
  EXPECT_EQ(documents_of("in/data").size(), 40u);
  fs::remove(dir / "in/soft.txt");
  fs::remove(dir / "in/data.bin.tmp4711");
  fs::remove(dir / "in/data-validation.json.tmp4711");
  ASSERT_TRUE(run({"in"}, "other"));  // another run finds prepared data there
  EXPECT_EQ(documents_of("other").size(), 40u);
  EXPECT_SAYS(complaints.at(0), "in/data-validation.bin and 7 more");
  EXPECT_SAYS(run({"in/data.bin"}, "in/data").error().context, "nothing is left of the inputs without");
}

TEST_F(PrepareTest, files_that_something_else_wrote_are_not_overwritten) {
  write("corpus.json", "{\"text\": \"one\"}\n");
  for (const char* input : {"corpus.json", "."}) {
    EXPECT_SAYS(run({input}, "corpus").error().context, "corpus.json is there and is no prepared data");
    EXPECT_EQ(read("corpus.json"), "{\"text\": \"one\"}\n");
  }
  ASSERT_TRUE(run({"corpus.json"}, "set"));
  write("set.json", "damaged");  // beside an index that is ours
  ASSERT_TRUE(run({"corpus.json"}, "set"));
  fs::remove(dir / "set.idx");  // a record that is ours
  ASSERT_TRUE(run({"corpus.json"}, "set"));
}

TEST_F(PrepareTest, links_in_a_directory_that_lead_nowhere_or_to_directories_are_said) {
  write("in/a.txt", "one");
  write("else/b.txt", "two");
  fs::create_directory_symlink(dir / "else", dir / "in/deep");
  ASSERT_TRUE(run({"in"}));
  EXPECT_EQ(documents_of("out"), Documents{"one"});
  EXPECT_SAYS(complaints.at(0), "in/deep: a link to a directory, which is not followed: name it");
  ASSERT_TRUE(run({"in", "in/deep"}));
  EXPECT_EQ(documents_of("out"), (Documents{"one", "two"}));
  fs::create_symlink("gone", dir / "in/c.txt");
  EXPECT_SAYS(error_of({"in"}), "in/c.txt is a link that leads nowhere");
}

TEST_F(PrepareTest, what_may_not_be_read_is_named_and_pipes_are_not_waited_for) {
  write("in/a.txt", "one");
  ASSERT_EQ(::mkfifo((dir / "in/pipe").c_str(), 0600), 0);
  ASSERT_TRUE(run({"in"}));
  EXPECT_SAYS(complaints.at(0), "in/pipe: a pipe, socket or device: left out");
  for (const char* name : {"in/pipe", "in/*"}) EXPECT_SAYS(error_of({name}), "in/pipe is a named pipe");
  fs::remove(dir / "in/pipe");
  write("in/deep/closed/b.txt", "two");
  fs::permissions(dir / "in/deep/closed", fs::perms::none);
  const bool is_closed = ::access((dir / "in/deep/closed").c_str(), R_OK) != 0;  // not to root
  for (const char* name : {"in", "in/*/*/*.txt"}) {
    if (!is_closed) continue;
    EXPECT_SAYS(error_of({name}), "cannot read the directory " + path("in/deep/closed") + ": Permission denied");
  }
  fs::permissions(dir / "in/deep/closed", fs::perms::owner_all);
  EXPECT_SAYS(error_of({"in/*.jsonl"}), "no file matches");
}

TEST_F(PrepareTest, a_directory_is_no_prefix) {
  write("in.txt", "one");
  fs::create_directory(dir / "sets");
  for (const char* out : {"sets", "sets/", "new/"}) EXPECT_SAYS(run({"in.txt"}, out).error().context, "is a directory");
}

}  // namespace
}  // namespace regroup
