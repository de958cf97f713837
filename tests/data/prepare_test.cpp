#include "moe/data/prepare/utf8.hpp"
#include "tests/data/data_fixture.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <random>
#include <set>
#include <thread>

namespace regroup {
namespace {

TEST(Utf8, the_table_of_the_standard_holds) {
  const auto good = [](std::string_view text) { return broken_utf8_at(text) == std::string_view::npos; };
  for (const char* text : {"", "plain ascii, longer than eight bytes", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
                           "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(good(text)) << text;
  for (const char* text :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc3(", "\xe2(\xa1"})
    EXPECT_FALSE(good(text));
  EXPECT_EQ(broken_utf8_at("twelve bytes\xff"), 12u);
  EXPECT_EQ(broken_utf8_at("gr\xc3\xbc\xc3\x9f\xe2\x82"), 6u);
}

TEST_F(PrepareTest, text_lines_and_jsonl_come_in_plain_in_gzip_and_in_zstd) {
  const std::string jsonl =
      "{\"id\": 1, \"text\": \"one\"}\n{\"text\": \"tw\\u00f6\\n2\", \"meta\": {\"text\": \"not this\"}}\r\n{\"n\": "
      "[\"text\"], \"text\": \"three\"}";
  const Documents expected{"one", "tw\xc3\xb6\n2", "three"};
  write("a.jsonl", jsonl);
  write("b.jsonl.gz", gzip(jsonl));
  write("c.jsonl.zst", zstd(jsonl));
  for (const char* name : {"a.jsonl", "b.jsonl.gz", "c.jsonl.zst"}) {
    auto made = run({name});
    ASSERT_TRUE(made) << made.error().context;
    EXPECT_EQ(documents_of("out"), expected) << name;
  }
  write("misnamed", gzip("li\nnes\n"));  // the first bytes count, not the name
  options.format = TextFormat::kLines;
  ASSERT_TRUE(run({"misnamed"}));
  EXPECT_EQ(documents_of("out"), (Documents{"li", "nes"}));
  options.format = TextFormat::kText;
  write("two-members.gz", gzip("half ") + gzip("and half") + std::string(512, '\0'));
  write("two-frames.zst", zstd("half ") + zstd("and half"));
  ASSERT_TRUE(run({"two-members.gz", "two-frames.zst"}));
  EXPECT_EQ(documents_of("out"), (Documents{"half and half", "half and half"}));
  options.format = TextFormat::kJsonl;
  options.field = "id";
  EXPECT_SAYS(error_of({"a.jsonl"}), "a.jsonl:1: its field \"id\" is a number, expected a text");
}

TEST_F(PrepareTest, directories_and_globs_are_sorted_by_name) {
  write("in/b.txt", "b");
  write("in/a.txt", "a");
  write("in/deep/c.jsonl", "{\"text\": \"c\"}");
  ASSERT_TRUE(run({"in"}));
  EXPECT_EQ(documents_of("out"), (Documents{"a", "b", "c"}));
  ASSERT_TRUE(run({"in/*.txt"}));
  EXPECT_EQ(documents_of("out"), (Documents{"a", "b"}));
  ASSERT_TRUE(run({"in/b.txt", "in/[a]*"}));
  EXPECT_EQ(documents_of("out"), (Documents{"b", "a"}));
  EXPECT_SAYS(error_of({"in/*.gz"}), "no file matches");
  EXPECT_SAYS(error_of({"in/x.txt"}), "there is no input");
}

// A text of many kinds of documents, some longer than what is read at once.
std::string mixed_lines(std::size_t bytes, unsigned seed) {
  std::mt19937 random(seed);
  std::string text;
  const char* words[] = {"the ",     "straße ", "日本語", "1234 ", "\xf0\x9f\x98\x80", "fn(x) {", "\t", "  ", "naïve ",
                         "Zürich, ", "is ",     "a ",     "long "};
  while (text.size() < bytes) {
    const std::size_t length = random() % 40 == 0 ? bytes / 3 : random() % 400;
    const std::size_t begin = text.size();
    while (text.size() < begin + length) text += words[random() % std::size(words)];
    text += '\n';
  }
  return text;
}

TEST_F(PrepareTest, the_number_of_threads_changes_no_byte) {
  const std::string text = mixed_lines(6 << 20, 1);
  write("a.gz", gzip(text));
  write("b.txt", mixed_lines(3 << 20, 2));
  options.validation = 0.3;
  for (const TextFormat format : {TextFormat::kLines, TextFormat::kText}) {
    options.format = format;
    options.validation = format == TextFormat::kLines ? 0.3 : 0;
    std::string first;
    for (const int threads : {1, 2, 7}) {
      options.threads = threads;
      auto made = run({"a.gz", "b.txt"});
      ASSERT_TRUE(made) << made.error().context;
      const std::string all = all_of("out") + read("out.json") + all_of("out-validation") + read("out-validation.json");
      if (threads == 1) first = all;
      EXPECT_TRUE(all == first) << threads;
    }
  }
  std::string whole;  // the long documents were cut on their way and are one again
  options.format = TextFormat::kText;
  ASSERT_TRUE(run({"a.gz"}));
  EXPECT_TRUE(documents_of("out") == Documents{text});
}

TEST_F(PrepareTest, standard_input_gives_the_same_bytes_in_whatever_pieces_it_comes) {
  const std::string text = mixed_lines(3 << 20, 3);
  write("file", text);
  ASSERT_TRUE(run({"file"}, "from-file"));
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const int saved = ::dup(0);
  ::dup2(ends[0], 0);
  std::thread writer([&] {
    std::mt19937 random(4);
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t n = std::min<std::size_t>(text.size() - at, 1 + random() % 30000);
      const ssize_t written = ::write(ends[1], text.data() + at, n);
      if (written <= 0) break;
      at += static_cast<std::size_t>(written);
    }
    ::close(ends[1]);
  });
  options.inputs = {"-"};
  options.prefix = path("from-pipe");
  auto made = prepare(options);
  writer.join();
  ::dup2(saved, 0);
  ::close(saved);
  ::close(ends[0]);
  ASSERT_TRUE(made) << made.error().context;
  EXPECT_TRUE(all_of("from-pipe") == all_of("from-file"));
}

TEST_F(PrepareTest, broken_text_is_named_with_file_and_line_and_skipped_by_choice) {
  write("in.txt", "good\nstill good\nbad \xff here\nlast\n");
  options.format = TextFormat::kLines;
  EXPECT_SAYS(error_of({"in.txt"}), "in.txt:3: broken UTF-8: the byte 0xff at byte 5 of the line");
  EXPECT_EQ(std::distance(fs::directory_iterator(dir), {}), 1) << "nothing is left of a failed preparation";
  options.skip_bad = true;
  auto made = run({"in.txt"});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->num_bad, 1);
  EXPECT_EQ(documents_of("out"), (Documents{"good", "still good", "last"}));
  ASSERT_EQ(complaints.size(), 1u);
  EXPECT_SAYS(complaints[0], "in.txt:3: broken UTF-8");

  options.format = TextFormat::kJsonl;
  write("in.jsonl",
        "{\"text\": \"good\"}\n{\"text\": \"cut\n\n[\"text\"]\n{\"body\": \"x\"}\n{\"text\": null}\n{\"text\": "
        "\"\xc3(\"}\n{\"text\": \"end\"}\n");
  made = run({"in.jsonl"});
  ASSERT_TRUE(made) << made.error().context;
  EXPECT_EQ(documents_of("out"), (Documents{"good", "end"}));
  EXPECT_EQ(made->num_bad, 5);
  EXPECT_EQ(made->num_empty, 1);
  ASSERT_EQ(complaints.size(), 6u);
  for (const auto& [i, what] : {std::pair{0, ":2: not JSON at column"},
                                {1, ":3: an empty document"},
                                {2, ":4: expected an object, found an array"},
                                {3, ":5: it has no field \"text\""},
                                {4, ":6: its field \"text\" is null"},
                                {5, ":7: not JSON"}})
    EXPECT_SAYS(complaints[static_cast<std::size_t>(i)], what);
  options.skip_bad = false;
  EXPECT_SAYS(error_of({"in.jsonl"}), "in.jsonl:2: not JSON");

  options.any_bytes = true;
  options.format = TextFormat::kLines;
  ASSERT_TRUE(run({"in.txt"}));
  EXPECT_EQ(documents_of("out")[2], "bad \xff here");
}

TEST_F(PrepareTest, empty_documents_are_left_out_counted_and_an_error_by_choice) {
  write("a.txt", "one\n\n\ntwo\n");
  options.format = TextFormat::kLines;
  auto made = run({"a.txt"});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->num_empty, 2);
  EXPECT_SAYS(complaints.at(0), "a.txt:2: an empty document");
  options.refuse_empty = true;
  EXPECT_SAYS(error_of({"a.txt"}), "a.txt:2: an empty document");
}

TEST_F(PrepareTest, a_cut_file_is_named_and_gives_what_was_whole_by_choice) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += "line " + std::to_string(i * 7919) + "\n";
  const std::string packed = gzip(text), frame = zstd(text);
  write("cut.gz", packed.substr(0, packed.size() / 2));
  write("cut.zst", frame.substr(0, frame.size() - 5));
  std::string flipped = packed;
  flipped[packed.size() - 6] = static_cast<char>(flipped[packed.size() - 6] ^ 1);  // the checksum of all of it
  write("flipped.gz", flipped);
  write("tail.gz", packed + "tail");
  write("whole.txt", "whole\n");
  options.format = TextFormat::kLines;
  EXPECT_SAYS(error_of({"whole.txt", "cut.gz"}), "cut.gz:");
  EXPECT_SAYS(error_of({"cut.gz"}), "the file was cut");
  EXPECT_SAYS(error_of({"cut.zst"}), "the file was cut");
  EXPECT_SAYS(error_of({"flipped.gz"}), "flipped.gz:20001: the packed data is damaged");
  EXPECT_SAYS(error_of({"tail.gz"}), "tail.gz:20001: the packed data is damaged");
  EXPECT_FALSE(fs::exists(dir / "out.bin"));
  EXPECT_EQ(std::distance(fs::directory_iterator(dir), {}), 5);

  options.skip_bad = true;
  auto made = run({"cut.gz", "whole.txt"});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->num_bad, 1);
  Documents kept = documents_of("out");
  ASSERT_GT(kept.size(), 5000u);
  EXPECT_LT(kept.size(), 15000u);
  // the line of the cut: as many whole ones, and whole.txt's
  EXPECT_SAYS(complaints.at(0), "cut.gz:" + std::to_string(kept.size()) + ": the packed data ends");
  EXPECT_EQ(kept.back(), "whole");
  kept.pop_back();
  for (std::size_t i = 0; i < kept.size(); ++i) ASSERT_EQ(kept[i], "line " + std::to_string(i * 7919));

  options.format = TextFormat::kText;  // a file is one document: nothing of it is whole
  made = run({"cut.gz", "whole.txt"});
  ASSERT_TRUE(made);
  EXPECT_EQ(documents_of("out"), (Documents{"whole\n"}));
}

TEST_F(PrepareTest, a_long_document_that_turns_out_broken_leaves_no_trace) {
  const std::string first = mixed_lines(100'000, 5), long_text = mixed_lines(14 << 20, 6),
                    last = mixed_lines(5 << 20, 7);
  write("a", first);
  write("b", long_text + "\xfe");
  write("c", last);
  options.skip_bad = true;
  auto made = run({"a", "b", "c"});
  ASSERT_TRUE(made) << made.error().context;
  EXPECT_EQ(made->num_bad, 1);
  EXPECT_SAYS(complaints.at(0),
              "b:" + std::to_string(std::count(long_text.begin(), long_text.end(), '\n') + 1) + ": broken UTF-8");
  const std::string with = all_of("out");
  auto data = Dataset::open(path("out"), 257, 4, 1);
  ASSERT_TRUE(data) << data.error().context;
  EXPECT_TRUE((*data)->verify()) << "the checksum too forgets what was taken back";
  ASSERT_TRUE(run({"a", "c"}));
  EXPECT_TRUE(all_of("out") == with);
}

TEST_F(PrepareTest, the_split_is_a_function_of_each_document_alone) {
  std::string lines, jsonl, backwards;
  std::vector<std::string> all;
  for (int i = 0; i < 5000; ++i) {
    const std::string text = "document number " + std::to_string(i);
    all.push_back(text);
    lines += text + "\n";
    backwards.insert(0, text + "\n");
    if (i % 2 == 0) jsonl += "{\"text\": \"" + text + "\"}\n";
  }
  write("lines", lines);
  write("half.jsonl", jsonl);
  write("backwards", backwards);
  options.validation = 0.1;
  options.format = TextFormat::kLines;
  ASSERT_TRUE(run({"lines"}));
  const Documents train = documents_of("out"), validation = documents_of("out-validation");
  EXPECT_NEAR(static_cast<double>(validation.size()), 500, 70);  // 3.3 standard deviations
  Documents both = train;
  both.insert(both.end(), validation.begin(), validation.end());
  std::sort(both.begin(), both.end());
  std::sort(all.begin(), all.end());
  EXPECT_EQ(both, all);

  const std::set<std::string> held_out(validation.begin(), validation.end());
  ASSERT_TRUE(run({"backwards"}));
  const Documents again = documents_of("out-validation");
  EXPECT_EQ(std::set<std::string>(again.begin(), again.end()), held_out);
  options.format = TextFormat::kAuto;
  ASSERT_TRUE(run({"half.jsonl"}));
  for (const auto& text : documents_of("out-validation")) EXPECT_TRUE(held_out.count(text)) << text;
  for (const auto& text : documents_of("out")) EXPECT_FALSE(held_out.count(text)) << text;
  options.validation = 0.05;  // a smaller share is a part of the larger one
  options.format = TextFormat::kLines;
  ASSERT_TRUE(run({"lines"}));
  for (const auto& text : documents_of("out-validation")) EXPECT_TRUE(held_out.count(text)) << text;

  auto data = Dataset::open(path("out-validation"), 257, 8, 1);
  ASSERT_TRUE(data) << data.error().context;
  EXPECT_TRUE((*data)->verify());
  write("few", "one\ntwo\n");
  options.validation = 1e-9;
  EXPECT_SAYS(error_of({"few"}), "none of the 2 documents fell into");
}

TEST_F(PrepareTest, memory_does_not_grow_with_the_input) {
  const std::string block = mixed_lines(1 << 20, 8);
  std::ofstream out(path("big"), std::ios::binary);
  for (int i = 0; i < 300; ++i) out << block;
  out.close();
  options.format = TextFormat::kLines;
  options.threads = 2;
  const auto peak_mb = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss / 1024;
  };
  const auto before = peak_mb();
  auto made = run({"big"});
  ASSERT_TRUE(made) << made.error().context;
  EXPECT_GT(made->text_bytes, 290 << 20);
  EXPECT_LT(peak_mb() - before, 100);
}

}  // namespace
}  // namespace regroup
