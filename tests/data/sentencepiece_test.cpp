#include "moe/data/prepare/sentencepiece_tokenizer.hpp"
#include "moe/data/prepare/train_tokenizer.hpp"
#include "tests/data/data_fixture.hpp"

#include <cstdlib>
#include <random>

namespace regroup {
namespace {

// ./dev fetches Mixtral's tokenizer and says where it lies.
std::string mixtral_tokenizer() {
  if (const char* path = std::getenv("REGROUP_MIXTRAL_TOKENIZER")) return path;
  const char* home = std::getenv("HOME");
  return std::string(home ? home : "") + "/.cache/regroup/mixtral-tokenizer-1.13.1.model";
}

std::string random_text(std::mt19937& random, std::size_t length) {
  static const char* const pieces[] = {"the",
                                       " the",
                                       " ",
                                       "  ",
                                       "   ",
                                       "\n",
                                       "\n\n",
                                       "\t",
                                       "a",
                                       "e",
                                       "ing",
                                       "ed",
                                       "1",
                                       "23",
                                       "0",
                                       ".",
                                       ",",
                                       "(",
                                       ")",
                                       "{",
                                       "}",
                                       "://",
                                       "www",
                                       "日",
                                       "本",
                                       "語",
                                       "é",
                                       "ß",
                                       "\xf0\x9f\x98\x80",
                                       "\xe2\x96\x81",
                                       "\xe2\x96\x81the",
                                       "<s>",
                                       "</s>",
                                       "<0x0A>",
                                       "ο",
                                       "λόγος",
                                       "я",
                                       "привет",
                                       "\xc2\xa0",
                                       "\xef\xbb\xbf",
                                       "x",
                                       "Z",
                                       "'s",
                                       "\"",
                                       "\r\n",
                                       "_",
                                       "__init__",
                                       "\xe2\x80\x94",
                                       "\x01",
                                       "한",
                                       "국",
                                       "어",
                                       "ก",
                                       "ัน"};
  std::string text;
  while (text.size() < length) text += pieces[random() % std::size(pieces)];
  return text;
}

class SentencePieceTest : public DataTest {
 protected:
  // Our ids of a text, cut into parts wherever the tokenizer allows near every `part` bytes, against SentencePiece's
  // own of the whole.
  void expect_same_ids(const std::string& model, const std::vector<std::string>& texts, std::size_t part) {
    auto tokenizer = sentencepiece_tokenizer(model);
    ASSERT_TRUE(tokenizer) << tokenizer.error().context;
    const auto whole = sentencepiece_tokenizer(model, false);
    ASSERT_TRUE(whole);
    const auto encoder = (*tokenizer)->encoder(), its_own = (*whole)->encoder();
    for (const std::string& text : texts) {
      std::vector<std::int32_t> ids;
      std::string_view rest = text;
      bool first = true;
      while (rest.size() > part) {
        const std::size_t n = (*tokenizer)->cut(rest.substr(0, part));
        if (n == 0) break;
        encoder->encode(rest.substr(0, n), first, ids);
        rest.remove_prefix(n);
        first = false;
      }
      encoder->encode(rest, first, ids);
      std::vector<std::int32_t> expected;
      its_own->encode(text, true, expected);
      ASSERT_EQ(ids, expected) << text;
    }
  }
};

TEST_F(SentencePieceTest, ids_are_those_of_sentencepiece_wherever_the_text_is_cut) {
  ASSERT_TRUE(fs::exists(mixtral_tokenizer()))
      << mixtral_tokenizer() << " is not there: run the tests by ./dev test, which fetches it";
  std::mt19937 random(1);
  std::vector<std::string> texts = {" ",
                                    "\n",
                                    "a",
                                    "  leading and trailing  ",
                                    "\xe2\x96\x81",
                                    " \xe2\x96\x81 x",
                                    "In the beginning God created the heaven and the earth.\n"};
  for (int i = 0; i < 300; ++i) texts.push_back(random_text(random, 1 + random() % 200));
  for (int i = 0; i < 3; ++i) texts.push_back(random_text(random, 20000));
  for (const std::size_t part : {3u, 17u, 100u, 4096u}) expect_same_ids(mixtral_tokenizer(), texts, part);
}

TEST_F(SentencePieceTest, documents_of_the_real_tokenizer_end_with_its_end) {
  auto tokenizer = sentencepiece_tokenizer(mixtral_tokenizer());
  ASSERT_TRUE(tokenizer) << tokenizer.error().context;
  EXPECT_EQ((*tokenizer)->vocab_size(), 32000);
  EXPECT_EQ((*tokenizer)->end_of_document(), 2);
  write("in.jsonl", "{\"text\": \"Hello world\"}\n{\"text\": \"1984\"}\n");
  PrepareOptions options;
  options.inputs = {path("in.jsonl")};
  options.prefix = prefix();
  options.tokenizer = *tokenizer;
  auto made = prepare(options);
  ASSERT_TRUE(made) << made.error().context;
  // ▁Hello ▁world </s> ▁ 1 9 8 4 </s>, as mistral-common's own v1 tokenizer gives them.
  EXPECT_EQ(tokens_of("out"), (std::vector<std::int64_t>{22557, 1526, 2, 28705, 28740, 28774, 28783, 28781, 2}));
  EXPECT_SAYS(read("out.json"), "\"tokenizer_xxh3\": \"" + (*tokenizer)->record().xxh3 + "\"");
  EXPECT_SAYS(complaint(512), "token 28783");
  EXPECT_SAYS(complaint(30000), "a tokenizer of 32000 tokens, but the model's vocab_size is 30000");
  EXPECT_EQ(complaint(32000), "");
}

TEST_F(SentencePieceTest, a_model_is_trained_and_the_same_text_gives_the_same_one) {
  std::mt19937 random(2);
  std::string text;
  const char* words[] = {"expert", "router", "gradient", "step",    "token", "worker",
                         "the",    "of",     "and",      "regroup", "naïve", "größe"};
  for (int i = 0; i < 4000; ++i) {
    for (int j = 0; j < 8; ++j) text += std::string(words[random() % std::size(words)]) + (j == 7 ? "\n" : " ");
    if (i % 50 == 0) text += "日本 " + std::to_string(random()) + "\n";
  }
  write("in.txt.gz", gzip(text));
  TrainTokenizerOptions options;
  options.input.inputs = {path("in.txt.gz")};
  options.vocab_size = 400;
  for (const bool unigram : {false, true}) {
    options.unigram = unigram;
    options.vocab_size = unigram ? 310 : 400;
    options.out = path("first.model");
    auto made = train_tokenizer(options);
    ASSERT_TRUE(made) << made.error().context;
    EXPECT_EQ(made->vocab_size, options.vocab_size);
    options.out = path("second.model");
    ASSERT_TRUE(train_tokenizer(options));
    EXPECT_TRUE(read("first.model") == read("second.model"));
    std::vector<std::string> texts{"the router of the expert", "größe 日本語 unknown \xf0\x9f\x98\x80", "",
                                   " two  spaces "};
    for (int i = 0; i < 50; ++i) texts.push_back(random_text(random, 100));
    // unigram scores add up over the whole text: it is not cut
    expect_same_ids(options.out, texts, unigram ? 1 << 20 : 30);
  }
  options.unigram = false;
  options.max_lines = 100;
  options.vocab_size = 300;
  auto made = train_tokenizer(options);
  ASSERT_TRUE(made) << made.error().context;
  EXPECT_EQ(made->num_learned, 100);
  EXPECT_GT(made->num_lines, 4000);
}

TEST_F(SentencePieceTest, what_is_no_tokenizer_is_refused_by_name) {
  EXPECT_SAYS(sentencepiece_tokenizer(path("absent.model")).error().context, "absent.model");
  write("junk.model", "this is no protobuf message");
  EXPECT_SAYS(sentencepiece_tokenizer(path("junk.model")).error().context, "junk.model is not a SentencePiece model");
  write("cut.model", [&] {
    std::ifstream in(mixtral_tokenizer(), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {}).substr(0, 300'001);
  }());
  EXPECT_SAYS(sentencepiece_tokenizer(path("cut.model")).error().context, "cut.model is not a");
  TrainTokenizerOptions options;
  write("small.txt", "too little\n");
  options.input.inputs = {path("small.txt")};
  options.out = path("small.model");
  EXPECT_SAYS(train_tokenizer(options).error().context, "SentencePiece cannot make 32000 pieces");
  EXPECT_FALSE(fs::exists(dir / "small.model"));
}

}  // namespace
}  // namespace regroup
