#include "moe/data/mixture.hpp"
#include "tests/data/data_fixture.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <numeric>

namespace regroup {
namespace {

class ReadingTest : public DataTest {
 protected:
  void megatron(const std::string& name, const std::string& type, const std::string& documents,
                const std::string& options = "") const {
    write(name + ".input", documents);
    const std::string command = "python3 " REGROUP_TESTS_DIR "/megatron_set.py " + path(name) + " " + type + " " +
                                options + " < " + path(name + ".input");
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  // Every sample of `text` is one letter: which set it is.
  void letters(const std::string& name, char letter, int sequences) const {
    PrepareOptions options;
    write(name + ".txt", std::string(static_cast<std::size_t>(sequences * 4), letter));
    options.inputs = {path(name + ".txt")};
    options.prefix = path(name);
    ASSERT_TRUE(prepare(options));
  }
};

TEST(Mixture, every_set_comes_without_gap_or_repeat_and_every_run_of_samples_holds_its_share) {
  std::vector<double> hundred(100, 1.0);
  hundred.back() = 900;
  for (const auto& [weights, slack] : std::vector<std::pair<std::vector<double>, double>>{
           {{1, 1}, 1}, {{0.7, 0.3}, 1}, {{1, 1, 1}, 2}, {{0.7, 0.2, 0.09, 0.01}, 2}, {hundred, 4}}) {
    const auto mixture = Mixture::make(weights);
    ASSERT_TRUE(mixture);
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    std::vector<std::int64_t> drawn(weights.size());
    std::vector<double> low(weights.size()), high(weights.size());  // drawn - share, over all beginnings
    for (std::int64_t sample = 0; sample < 50'000; ++sample) {
      const auto [source, its] = mixture->place(sample);
      ASSERT_EQ(its, drawn.at(static_cast<std::size_t>(source))++);
      for (std::size_t i = 0; i < weights.size(); ++i) {
        const double off = static_cast<double>(drawn[i]) - static_cast<double>(sample + 1) * weights[i] / sum;
        low[i] = std::min(low[i], off);
        high[i] = std::max(high[i], off);
      }
    }
    for (std::size_t i = 0; i < weights.size(); ++i) EXPECT_LE(high[i] - low[i], slack + 1e-4) << i;
  }
}

TEST(Mixture, shares_are_exact_however_long_a_job_is) {
  const double weights[] = {3, 7};
  const auto mixture = Mixture::make(weights);
  ASSERT_TRUE(mixture);
  EXPECT_EQ(mixture->shares(), (std::vector<std::int64_t>{322122547, 751619277}));
  for (const std::int64_t at : {std::int64_t{1'000'000'000}, std::int64_t{2'000'000'000} * 65536 * 64}) {
    const auto one = mixture->place(at), next = mixture->place(at + 1);
    EXPECT_NEAR(static_cast<double>(one.sample), static_cast<double>(at) * (one.source == 0 ? 0.3 : 0.7),
                1 + static_cast<double>(at) * 1e-9);
    EXPECT_NE(one, next);
  }
}

TEST(Mixture, places_are_frozen) {  // a job that is resumed by a newer program must see the same samples
  const double weights[] = {2, 1, 4};
  const auto mixture = Mixture::make(weights);
  ASSERT_TRUE(mixture);
  std::vector<std::pair<int, std::int64_t>> first;
  for (const std::int64_t sample : {0, 1, 2, 3, 65536, 1'000'000'000}) {
    const auto place = mixture->place(sample);
    first.emplace_back(place.source, place.sample);
  }
  EXPECT_EQ(first,
            (std::vector<std::pair<int, std::int64_t>>{{2, 0}, {0, 0}, {2, 1}, {1, 0}, {2, 37449}, {0, 285714285}}));
}

TEST_F(ReadingTest, sets_of_different_tokenizers_are_not_mixed) {
  write("in", std::string(500, 'q'));
  ASSERT_TRUE(make({"in"}));
  const auto set_made_with = [&](const std::string& name, const std::string& tokenizer) {
    for (const char* end : {".bin", ".idx", ".sums"}) write(name + end, read(std::string("out") + end));
    auto record = nlohmann::json::parse(read("out.json"));
    record["tokenizer"] = tokenizer;
    write(name + ".json", record.dump());
  };
  set_made_with("a", "bytes");
  set_made_with("b", "sentencepiece");
  set_made_with("silent", "");
  const auto mixed = [&](const std::vector<std::string>& names) {
    std::vector<DataSource> sources;
    for (const std::string& name : names) sources.push_back({path(name), 1});
    return Dataset::open(sources, 512, 4, 1);
  };
  EXPECT_EQ(mixed({"silent", "a", "b"}).error().context, "data: " + path("b") +
                                                             " was made with another tokenizer (sentencepiece) than " +
                                                             path("a") + " (bytes): prepare it with the same one");
  ASSERT_TRUE(mixed({"silent", "a", "a"}));
  EXPECT_EQ((*mixed({"silent", "a"}))->tokenizer(), "bytes");
}

TEST_F(ReadingTest, each_set_of_a_mixture_is_drawn_as_if_it_were_alone) {
  PrepareOptions options;
  std::string text[2];
  for (int i = 0; i < 5000; ++i) {
    char four[9];
    std::snprintf(four, sizeof four, "%04d%04d", i, 5000 + i);
    text[0].append(four, 4);
    text[1].append(four + 4, 4);
  }
  for (const char* name : {"a", "b"}) {
    write(name, text[name[0] - 'a']);
    options.inputs = {path(name)};
    options.prefix = path(std::string(name) + "-set");
    ASSERT_TRUE(prepare(options));
  }
  auto mixed = Dataset::open({{path("a-set"), 1}, {path("b-set"), 1}}, 257, 4, 5);
  auto first = Dataset::open(path("a-set"), 257, 4, 5);
  ASSERT_TRUE(mixed && first);
  std::map<std::pair<std::string, std::int64_t>, int> seen[2];
  std::int64_t of_a = 0;
  std::vector<std::int64_t> tokens(5), its(5);
  for (std::int64_t i = 0; i < 20'000; ++i) {
    const SamplePlace place = (*mixed)->where(i);
    EXPECT_EQ(place.data_epoch, i / 10'000);
    EXPECT_EQ(place.first_token, place.sequence * 4);
    ++seen[i / 10'000][{place.prefix, place.sequence}];
    if (place.prefix != path("a-set")) continue;
    ASSERT_TRUE((*mixed)->fill(i, tokens));
    ASSERT_TRUE((*first)->fill(of_a++, its));
    ASSERT_EQ(tokens, its);
  }
  for (const auto& epoch : seen) {
    EXPECT_EQ(epoch.size(), 10'000u);
    for (const auto& [sample, times] : epoch) ASSERT_EQ(times, 1) << sample.first << " " << sample.second;
  }
}

TEST(Mixture, weights_that_choose_nothing_are_refused) {
  const auto said = [](std::vector<double> weights) {
    const auto mixture = Mixture::make(weights);
    return mixture ? "" : mixture.error().context;
  };
  EXPECT_SAYS(said({1, 0}), "above 0");
  EXPECT_SAYS(said({1, -1}), "above 0");
  EXPECT_SAYS(said({1, std::nan("")}), "above 0");
  EXPECT_SAYS(said({1, 1e-6}), "weight 1 is");
  EXPECT_EQ(said({1, 1e-4}), "");
}

TEST_F(ReadingTest, a_mixture_is_a_function_of_the_sample_s_number) {
  letters("a", 'a', 100);
  letters("b", 'b', 7);
  const std::vector<DataSource> sources{{path("a"), 3}, {path("b"), 1}};
  auto data = Dataset::open(sources, 257, 4, 5);
  ASSERT_TRUE(data) << data.error().context;
  EXPECT_EQ((*data)->num_sequences(), 107);
  EXPECT_TRUE((*data)->verify());
  std::vector<std::int64_t> tokens(5), again(5);
  int of_b = 0;
  for (std::int64_t i = 0; i < 4096; ++i) {
    ASSERT_TRUE((*data)->fill(i, tokens));
    of_b += tokens[0] == 'b';
    for (std::size_t t = 1; t < 4; ++t) ASSERT_EQ(tokens[t], tokens[0]) << "a sample is of one set";
  }
  EXPECT_NEAR(of_b, 1024, 1);
  auto resumed = Dataset::open(sources, 257, 4, 5);  // another process that starts in the middle
  ASSERT_TRUE(resumed);
  for (std::int64_t i = 3000; i < 3100; ++i) {
    ASSERT_TRUE((*data)->fill(i, tokens));
    ASSERT_TRUE((*resumed)->fill(i, again));
    ASSERT_EQ(tokens, again);
  }
  const auto digest = [&](const std::vector<DataSource>& of) { return (*Dataset::open(of, 257, 4, 5))->digest(); };
  EXPECT_NE(digest(sources), digest({{path("a"), 3}, {path("b"), 2}}));
  EXPECT_NE(digest(sources), digest({{path("b"), 3}, {path("a"), 1}}));
  EXPECT_EQ(digest(sources), digest({{path("a"), 6}, {path("b"), 2}}));
  EXPECT_EQ(digest({{path("a"), 6}}), (*Dataset::open(path("a"), 257, 4, 5))->digest())
      << "a mixture of one is that one";
  EXPECT_SAYS(Dataset::open({{path("a"), 1}, {path("none"), 1}}, 257, 4, 5).error().context, "none.idx");
  EXPECT_SAYS(Dataset::open({{path("a"), 1}, {path("b"), 1}}, 200, 4, 5).error().context, "token 256");
}

TEST_F(ReadingTest, two_sets_of_one_size_are_not_shuffled_alike) {
  PrepareOptions options;
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>('A' + i % 50);
  write("in", text);
  options.inputs = {path("in")};
  for (const char* name : {"a", "b"}) {
    options.prefix = path(name);
    ASSERT_TRUE(prepare(options));
  }
  auto data = Dataset::open({{path("a"), 1}, {path("b"), 1}}, 257, 10, 5);
  ASSERT_TRUE(data);
  const double weights[] = {1, 1};
  const auto mixture = Mixture::make(weights).value();
  std::map<std::int64_t, std::vector<std::int64_t>> of[2];
  for (std::int64_t i = 0; i < 200; ++i) {
    const auto place = mixture.place(i);
    std::vector<std::int64_t> tokens(11);
    ASSERT_TRUE((*data)->fill(i, tokens));
    of[place.source][place.sample] = tokens;
  }
  ASSERT_EQ(of[0].size(), 100u);
  ASSERT_EQ(of[1].size(), 100u);
  EXPECT_NE(of[0], of[1]);
}

TEST_F(ReadingTest, documents_begin_where_the_index_says) {
  // Tokens 1 to 12 in documents of 3 (two sentences), 0, 5, 1, 3 tokens; sequences of 4 inputs begin at 0, 4, 8 (the
  // last one needs token 12: it is not there).
  megatron("m", "uint16", "[[[1, 2], [3]], [], [[4, 5, 6, 7, 8]], [[9]], [[10], [11, 12]]]");
  auto data = Dataset::open(path("m"), 13, 4, 3);
  ASSERT_TRUE(data) << data.error().context;
  EXPECT_EQ((*data)->num_documents(), 5);
  EXPECT_EQ((*data)->num_tokens(), 12);
  ASSERT_EQ((*data)->num_sequences(), 2);
  std::map<std::int64_t, std::vector<std::int32_t>> starts;  // by first token
  for (std::int64_t i = 0; i < 2; ++i) {
    std::vector<std::int64_t> tokens(5);
    ASSERT_TRUE((*data)->fill(i, tokens));
    std::vector<std::int32_t> of;
    (*data)->document_starts(i, of);
    starts[tokens[0]] = of;
  }
  EXPECT_EQ(starts, (std::map<std::int64_t, std::vector<std::int32_t>>{{1, {0, 3}}, {5, {0}}}));
  auto longer = Dataset::open(path("m"), 13, 11, 3);
  ASSERT_TRUE(longer);
  std::vector<std::int32_t> all;
  (*longer)->document_starts(7, all);
  EXPECT_EQ(all, (std::vector<std::int32_t>{0, 3, 8, 9}));  // position 11 would be a target alone
}

TEST_F(ReadingTest, documents_of_a_large_set_agree_with_its_ends) {
  std::string text;
  for (int i = 0; i < 3000; ++i)
    text += std::string(static_cast<std::size_t>(1 + i * 7919 % 97), static_cast<char>('a' + i % 26)) + "\n";
  write("in", text);
  ASSERT_TRUE(make({"in"}, true));
  auto data = Dataset::open(prefix(), 257, 64, 2);
  ASSERT_TRUE(data);
  std::vector<std::int64_t> tokens(65);
  std::vector<std::int32_t> starts;
  for (std::int64_t i = 0; i < (*data)->num_sequences(); ++i) {
    ASSERT_TRUE((*data)->fill(i, tokens));
    (*data)->document_starts(i, starts);
    std::vector<std::int32_t> expected{0};
    for (int t = 1; t < 64; ++t)
      if (tokens[static_cast<std::size_t>(t - 1)] == kEndOfSequence) expected.push_back(t);
    ASSERT_EQ(starts, expected) << i;
  }
}

TEST_F(ReadingTest, sets_made_by_megatron_are_read_as_they_are) {
  for (const auto& [type, options] : {std::pair{"uint16", ""}, {"int32", ""}, {"int32", "--modes"}}) {
    megatron("m", type, "[[[5, 6], [7]], [[8, 9]]]", options);
    auto data = Dataset::open(path("m"), 10, 4, 1);
    ASSERT_TRUE(data) << data.error().context;
    std::vector<std::int64_t> tokens(5);
    ASSERT_TRUE((*data)->fill(0, tokens));
    EXPECT_EQ(tokens, (std::vector<std::int64_t>{5, 6, 7, 8, 9}));
    EXPECT_TRUE((*data)->verify());
    EXPECT_SAYS(Dataset::open(path("m"), 9, 4, 1).error().context,
                "m.bin holds token 9 at position 4, but the model's vocab_size is 9");
  }
  const std::string before = (*Dataset::open(path("m"), 10, 4, 1))->digest();
  std::string bin = read("m.bin");
  bin[0] = 4;  // the same index, another token: only .bin can tell
  write("m.bin", bin);
  EXPECT_NE((*Dataset::open(path("m"), 10, 4, 1))->digest(), before);
  bin[2] = static_cast<char>(0x80);
  bin[3] = bin[1] = static_cast<char>(0xff);
  write("m.bin", bin);
  EXPECT_SAYS(Dataset::open(path("m"), 10, 4, 1).error().context, "m.bin holds token -");
  write("m.bin", bin.substr(0, 16));
  EXPECT_SAYS(Dataset::open(path("m"), 10, 4, 1).error().context,
              "sequence 2 ends at byte 20, but the .bin beside it has 16");
}

// Files of other programs have no checksum: each field is all there is to tell.
TEST_F(ReadingTest, every_field_of_an_index_is_checked_against_its_file) {
  megatron("m", "uint16", "[[[1, 2], [3]], [[4, 5, 6]], [[7], [8, 9]]]");  // 5 sequences, 3 documents
  const std::string good = read("m.idx");
  const std::size_t lengths = 34, offsets = lengths + 5 * 4, documents = offsets + 5 * 8;
  ASSERT_EQ(good.size(), documents + 4 * 8);
  const auto said = [&](const std::string& index) {
    write("m.idx", index);
    const auto data = Dataset::open(path("m"), 512, 4, 1);
    return data ? "" : data.error().context;
  };
  const auto with = [&](std::size_t at, auto value) {
    std::string index = good;
    std::memcpy(index.data() + at, &value, sizeof value);
    return said(index);
  };
  EXPECT_EQ(said(good), "");
  EXPECT_SAYS(with(9, std::uint64_t{2}), "version is 2");
  EXPECT_SAYS(with(17, std::uint8_t{5}), "token type is 5 (i64)");
  EXPECT_SAYS(with(17, std::uint8_t{99}), "token type is 99 (no type");
  EXPECT_SAYS(with(17, std::uint8_t{4}), "sequence 1 begins at byte 4, expected 8");
  for (const std::size_t count : {std::size_t{18}, std::size_t{26}})
    for (const std::int64_t value : {std::int64_t{-1}, std::int64_t{0}, std::int64_t{3}, std::int64_t{6},
                                     std::int64_t{1} << 60, std::int64_t{1} << 62, INT64_MAX, INT64_MIN})
      EXPECT_NE(with(count, value), "") << count << " " << value;
  EXPECT_SAYS(with(lengths, std::int32_t{-2}), "sequence 0 has the length -2");
  EXPECT_SAYS(with(lengths, INT32_MAX), "sequence 0 ends at byte 4294967294, but the .bin beside it has 18");
  EXPECT_SAYS(with(lengths, std::int32_t{1}), "sequence 1 begins at byte 4, expected 2");
  EXPECT_SAYS(with(lengths + 16, std::int32_t{1}), "8 tokens, 16 bytes, but the .bin beside it has 18");
  EXPECT_SAYS(with(offsets, std::int64_t{2}), "sequence 0 begins at byte 2, expected 0");
  EXPECT_SAYS(with(offsets + 32, std::int64_t{-14}), "sequence 4 begins at byte -14, expected 14");
  EXPECT_SAYS(with(documents, std::int64_t{1}), "document 0 begins at sequence 1 of 5");
  EXPECT_SAYS(with(documents + 16, std::int64_t{1}), "document 2 begins at sequence 1 of 5, the one before it at 2");
  EXPECT_SAYS(with(documents + 16, std::int64_t{6}), "document 2 begins at sequence 6 of 5");
  EXPECT_SAYS(with(documents + 24, std::int64_t{4}), "its document index ends at sequence 4 of 5");
  EXPECT_SAYS(said(good + "xyz"), "its header asks for");
  EXPECT_SAYS(said(good + std::string("\0\1\0\0\0", 5)), "sequence 1 has the mode 1");
  for (std::size_t size = 0; size < good.size(); ++size) EXPECT_NE(said(good.substr(0, size)), "") << size;
  std::string merged = good.substr(0, documents + 8);  // one document index of two files, as merge_file_ wrote it
  merged[26] = 1;
  EXPECT_SAYS(said(merged), "its document index ends at sequence 0 of 5");
}

TEST_F(ReadingTest, a_record_that_counts_other_documents_is_refused) {
  write("in", "one\ntwo\n");
  ASSERT_TRUE(make({"in"}, true));
  std::string json = read("out.json");
  const auto at = json.find("\"num_documents\": 2");
  ASSERT_NE(at, std::string::npos);
  json[at + 17] = '3';
  write("out.json", json);
  EXPECT_SAYS(complaint(), "out.json speaks of 3 documents");
}

TEST_F(ReadingTest, a_flipped_bit_is_found_by_whoever_reads_it_and_by_nobody_else) {
  // 280 KB of tokens: five pieces, the last one short
  write("in", std::string(70'000, 'q') + std::string(70'000, 'r'));
  ASSERT_TRUE(make({"in"}));
  std::string bin = read("out.bin");
  bin[200'000] ^= 1;  // a token that exists
  write("out.bin", bin);
  auto data = Dataset::open(prefix(), 512, 100, 1);
  ASSERT_TRUE(data);
  int refused = 0;
  std::vector<std::int64_t> tokens(101);
  for (std::int64_t i = 0; i < (*data)->num_sequences(); ++i) {
    const auto filled = (*data)->fill(i, tokens);
    if (filled) continue;
    ++refused;
    EXPECT_EQ(filled.error().code, Code::kCorrupt);
    EXPECT_SAYS(filled.error().context, "out.bin is damaged: bytes 196608 to 262144 are not what ");
  }
  EXPECT_GE(refused, 65536 / 202);  // every sequence that touches the piece
  EXPECT_LE(refused, 65536 / 200 + 2);
  std::string sums = read("out.sums");
  sums[3] ^= 1;
  write("out.sums", sums);
  EXPECT_SAYS(Dataset::open(prefix(), 512, 100, 1).error().context, "out.sums has the checksum ");
  fs::remove(dir / "out.sums");
  EXPECT_SAYS(Dataset::open(prefix(), 512, 100, 1).error().context, "out.sums");
}

TEST_F(ReadingTest, a_record_without_sums_is_read_whole_at_opening) {
  write("in", std::string(1000, 'q'));
  ASSERT_TRUE(make({"in"}));
  std::string json = read("out.json");
  const auto key = json.find("\"sums_xxh3\"");
  ASSERT_NE(key, std::string::npos);
  json.replace(key, 11, "\"sums_of_old\"");
  write("out.json", json);
  ASSERT_TRUE(Dataset::open(prefix(), 512, 4, 1));
  std::string bin = read("out.bin");
  bin[77 * 2] ^= 1;
  write("out.bin", bin);
  EXPECT_SAYS(Dataset::open(prefix(), 512, 4, 1).error().context, "out.bin has the checksum ");
}

}  // namespace
}  // namespace regroup
