// Text as Windows, spreadsheets, browsers and other programs leave it.
#include "tests/data/data_fixture.hpp"

#include <algorithm>

namespace regroup {
namespace {

using namespace std::string_literals;

std::string utf16(const std::string& ascii) {
  std::string out;
  for (const char c : ascii) out += {c, '\0'};
  return out;
}

TEST_F(PrepareTest, byte_order_marks_are_no_text_and_other_encodings_are_named) {
  const std::string mark = "\xef\xbb\xbf";
  write("in.txt", mark + "one");
  write("in.jsonl", mark + "{\"text\": \"two\"}\n");
  write("twice.txt", mark + mark + "three" + mark);
  ASSERT_TRUE(run({"in.txt", "in.jsonl", "twice.txt"}));
  EXPECT_EQ(documents_of("out"), (Documents{"one", "two", "three" + mark}));
  write("only.txt", mark);
  EXPECT_SAYS(error_of({"only.txt"}), "the inputs hold no text");

  const std::string wide = utf16("text\n");
  for (const auto& [bytes, name] : {std::pair{"\xff\xfe"s + wide, "UTF-16"},
                                    {"\xfe\xff\0t"s, "UTF-16"},
                                    {"\xff\xfe\0\0t\0\0\0"s, "UTF-32"},
                                    {"\0\0\xfe\xff\0\0\0t"s, "UTF-32"}})
    for (const char* file : {"in.txt", "in.jsonl"}) {
      write(file, bytes);
      EXPECT_SAYS(error_of({file}), "it is text in "s + name + ", as its byte order mark says: `iconv -f " + name);
    }
  write("in.txt", wide);  // every byte of it is good UTF-8
  EXPECT_SAYS(error_of({"in.txt"}), "in.txt:1: a NUL at byte 2 of the line");
  write("in.jsonl", utf16("{}"));
  EXPECT_SAYS(error_of({"in.jsonl"}), "it begins with NULs");
  write("in.txt", "caf\xe9");
  EXPECT_SAYS(error_of({"in.txt"}), "the byte 0xe9 at byte 4 of the line (if it is text of Windows, `iconv -f CP1252");
  write("in.txt", "good\n" + std::string(3, '\0'));  // what a broken download leaves where nothing was written
  EXPECT_SAYS(error_of({"in.txt"}), "in.txt:2: a NUL at byte 1");

  options.any_bytes = true;
  write("in.txt", mark + "one\0"s);
  ASSERT_TRUE(run({"in.txt"}));
  EXPECT_EQ(documents_of("out"), Documents{mark + "one\0"s}) << "any bytes are those bytes";
  write("in.txt", "\xff\xfe" + wide);
  ASSERT_TRUE(run({"in.txt"}));
  EXPECT_SAYS(complaints.at(0), "in.txt: it is text in UTF-16");
}

TEST_F(PrepareTest, line_breaks_of_other_systems_are_no_text_or_are_said) {
  options.format = TextFormat::kLines;
  write("in", "one\r\n\r\ntwo\r\nthree\r not a break\nlast\r");
  auto made = run({"in"});
  ASSERT_TRUE(made) << made.error().context;
  EXPECT_EQ(documents_of("out"), (Documents{"one", "two", "three\r not a break", "last\r"}));
  EXPECT_EQ(made->num_empty, 1);
  const std::string long_line(3 << 20, 'x');
  write("in", long_line + "\r\nend\r\n");
  ASSERT_TRUE(run({"in"}));
  EXPECT_TRUE(documents_of("out") == (Documents{long_line, "end"}));
  for (const auto& [line_break, name] :
       {std::pair{"\r", "CR"}, {"\xc2\x85", "NEL (U+0085)"}, {"\xe2\x80\xa8", "U+2028"}}) {
    write("in", "one"s + line_break + "two" + line_break);
    EXPECT_SAYS(error_of({"in"}), "its lines end with "s + name + " alone");
  }
  options.format = TextFormat::kAuto;
  write("in.jsonl",
        "{\"text\": \"a\xc2\x85"
        "b\xe2\x80\xa8"
        "c\"}\r\n\r\n{\"text\": \"d\\r\\n\"}\r\n");
  ASSERT_TRUE(run({"in.jsonl"}));
  EXPECT_EQ(documents_of("out"), (Documents{"a\xc2\x85"
                                            "b\xe2\x80\xa8"
                                            "c",
                                            "d\r\n"}));
  for (const char* file : {"a.txt", "b.txt", "c.txt", "d.txt", "e.txt", "f.txt", "g.txt"})
    write(file, "one\r\ntwo\r\n");
  ASSERT_TRUE(run({"*.txt"}));
  EXPECT_EQ(documents_of("out").front(), "one\r\ntwo\r\n");
  ASSERT_EQ(complaints.size(), 6u);
  EXPECT_SAYS(complaints[4], "e.txt: its lines end with CR LF");
  EXPECT_SAYS(complaints[5], "other inputs are like these");
}

TEST_F(PrepareTest, json_that_comes_as_text_is_noticed) {
  const std::string jsonl = "{\"text\": \"one\"}\n{\"text\": \"two\"}\n";
  write("in.txt", "\n" + jsonl);
  write("long.log", "{\"text\": \"" + std::string(1 << 20, 'x') + "\"}\n" + jsonl);
  for (const char* file : {"in.txt", "long.log"})
    EXPECT_SAYS(error_of({file}), file + ":1: its first line is a JSON object: --format jsonl takes one field"s);
  options.format = TextFormat::kLines;
  ASSERT_TRUE(run({"in.txt"}));
  EXPECT_EQ(documents_of("out").front(), "{\"text\": \"one\"}");
  EXPECT_SAYS(complaints.at(0),
              "in.txt: its first line is a JSON object: --format jsonl takes one field of each line; "
              "it is read as it is");
  options.format = TextFormat::kJsonl;
  ASSERT_TRUE(run({"in.txt", "long.log"}));
  EXPECT_EQ(documents_of("out").front(), "one");
  options.format = TextFormat::kAuto;
  const std::string big = R"({"text": ")" + std::string(100, 'x') + "\"}";
  std::string rows = "[";
  for (int i = 0; i < 2000; ++i) rows += (i > 0 ? ",\n" : "\n") + big;
  for (const auto& [text, what] : std::vector<std::pair<std::string, std::string>>{
           {R"({"text": "a"}{"text": "b"})", "its first line is several JSON objects: `jq -c .`"},
           {R"({"text": "a"}, {"text": "b"})", "its first line is several JSON objects"},
           {"{\"text\": \"a\", \"score\": NaN}\n{\"text\": \"b\"}\n", "its first line is a JSON object"},
           {"{\"text\": \"a } [ \\\" NaN\", \"score\": -Infinity}\n", "its first line is a JSON object"},
           {"{\n  \"text\": \"a\"\n}\n{\n  \"text\": \"b\"\n}\n", "it is JSON, over several lines"},
           {"{\n\"rows\": " + rows + "]}", "it is JSON, over several lines"},
           {"[{\"text\": \"a\"}, {\"text\": \"b\"}]", "it is a JSON array: `jq -c '.[]'`"},
           {"[\n \"a\",\n \"b\"\n]\n", "it is a JSON array"},
           {rows + "]", "it is a JSON array"},
           {"[\"a\", 1]\n[\"b\", 2]\n", "it is a JSON array"},
           {"{'text': 'a'}\n{'text': 'b'}\n", "its first line is a dict as Python prints it"}}) {
    write("in.txt", text);
    EXPECT_SAYS(error_of({"in.txt"}), "in.txt:1: " + what);
    EXPECT_SAYS(error_of({"in.txt"}), "; --format text or lines reads it as it is");
  }
  for (const char* text : {"{}\nis code, and { \"so\": is } this\n", "[1] A footnote.\n", "[\"quoted\"] begins prose\n",
                           "{\"a\": 1} is JSON, as everybody knows\n", "{ \"not closed\"", "[[wiki]] text \"so\"\n",
                           "{% if \"template\" %}\n", "[\"a\"]\nis the first line of prose\n"}) {
    write("in.txt", text);
    EXPECT_EQ(error_of({"in.txt"}), "");
  }
}

TEST_F(PrepareTest, what_stands_there_instead_of_json_or_text_is_named) {
  const std::string html = "\n<!DOCTYPE HTML>\n<html><body>404</body></html>\n";
  for (const auto& [text, what] : std::vector<std::pair<std::string, std::string>>{
           {html, "it begins as an HTML page, not as JSON: a server's error"},
           {"<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>", "it begins as XML, not as JSON"},
           {"[{\"text\": \"a\"}, {\"text\": \"b\"}]\n", "it is one JSON array"},
           {"[\n  {\"text\": \"a\"}\n]\n", "it is one JSON array"},
           {"[{\"text\": \"a\"},\n {\"text\": \"b\"}]\n", "it is one JSON array"},
           {"{\n  \"text\": \"a\"\n}\n", "its JSON objects go over several lines"},
           {"{\"message\": \"Not Found\", \"of\": {\"inner\": 1}}",
            "it has no field \"text\", but \"message\", \"of\": --field names the one that holds the text"}}) {
    write("in.jsonl", text);
    EXPECT_SAYS(error_of({"in.jsonl"}), "in.jsonl:1: " + what);
    EXPECT_SAYS(error_of({"in.jsonl"}),
                what.starts_with("it has no") ? "leaves such documents out" : "leaves the whole input out");
  }
  write("in.jsonl", "{\"text\": \"a\"}\0{\"text\": \"b\"}\n"s);
  EXPECT_SAYS(error_of({"in.jsonl"}), "not JSON at column 14: a NUL");
  write("page.txt", html);
  write("page.html", html);
  ASSERT_TRUE(run({"page.txt", "page.html"}));
  ASSERT_EQ(complaints.size(), 1u);
  EXPECT_SAYS(complaints[0], "page.txt: it begins as a page of HTML or XML");
  for (const char* file : {"in.csv", "in.TSV", "in.csv.gz"}) {
    write(file, "text,label\nhello,1\n");
    EXPECT_SAYS(error_of({file}), "by its name it is a table");
  }
  for (const char* file : {"in.txt.part", "in.jsonl.gz.crdownload", "in.incomplete"}) {
    write(file, "half");
    EXPECT_SAYS(error_of({file}), "a download that was not finished");
  }
  write("in.jsonl", "{\"text\": \"one\"}\n");
  write("empty.jsonl", "");
  write("empty.jsonl.gz", gzip(""));
  ASSERT_TRUE(run({"empty.jsonl", "in.jsonl", "empty.jsonl.gz"}));
  ASSERT_EQ(complaints.size(), 2u);
  EXPECT_SAYS(complaints[1], "empty.jsonl.gz: it is empty");
  EXPECT_SAYS(error_of({"empty.jsonl"}), "the inputs hold no text");
  EXPECT_EQ(complaints.size(), 1u) << "said even when there is nothing else";
  options.format = TextFormat::kText;
  EXPECT_EQ(error_of({"in.csv"}), "") << "a choice";
}

}  // namespace
}  // namespace regroup
