#include "tests/data/data_fixture.hpp"

#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include <algorithm>
#include <vector>

namespace regroup {
namespace {

TEST_F(DataTest, tokens_of_files_come_back_in_order_with_an_end_after_each) {
  write("in/b", "second");
  write("in/a", "first");
  write("in/sub/c", "");
  auto made = make({"in"});
  ASSERT_TRUE(made) << made.error().context;
  EXPECT_EQ(made->train.num_documents, 2);
  EXPECT_EQ(made->num_empty, 1);
  EXPECT_EQ(made->train.num_tokens, 13);

  auto data = Dataset::open(prefix(), 512, 12, 7);  // one sequence: all of it
  ASSERT_TRUE(data) << data.error().context;
  EXPECT_EQ((*data)->num_sequences(), 1);
  std::vector<std::int64_t> tokens(13);
  ASSERT_TRUE((*data)->fill(5, tokens));
  std::vector<std::int64_t> expected;
  for (char c : std::string("first")) expected.push_back(c);
  expected.push_back(kEndOfSequence);
  for (char c : std::string("second")) expected.push_back(c);
  expected.push_back(kEndOfSequence);
  EXPECT_EQ(tokens, expected);
  EXPECT_TRUE((*data)->verify());
  EXPECT_EQ(std::distance(fs::directory_iterator(dir), {}), 5) << "no temporary file stays";
}

TEST_F(DataTest, lines_become_documents_when_asked) {
  write("in", "one\n\ntwo\nlast without break");
  auto made = make({"in"}, true);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->train.num_documents, 3);
  EXPECT_EQ(made->num_empty, 1);
}

TEST_F(DataTest, each_data_epoch_shows_every_sequence_once_in_another_order) {
  std::string text(1001, 'x');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i / 10 % 26);
  write("in", text);
  ASSERT_TRUE(make({"in"}));
  auto data = Dataset::open(prefix(), 512, 10, 3);
  ASSERT_TRUE(data);
  const auto n = (*data)->num_sequences();
  ASSERT_EQ(n, 100);
  std::vector<std::vector<std::int64_t>> epochs[2];
  for (std::int64_t i = 0; i < 2 * n; ++i) {
    std::vector<std::int64_t> tokens(11);
    ASSERT_TRUE((*data)->fill(i, tokens));
    epochs[i / n].push_back(tokens);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  for (auto& epoch : epochs) std::sort(epoch.begin(), epoch.end());
  EXPECT_EQ(epochs[0], epochs[1]);
}

TEST(Permutation, is_a_bijection_for_every_size) {
  for (std::uint64_t n : {1ULL, 2ULL, 3ULL, 4ULL, 5ULL, 16ULL, 17ULL, 255ULL, 256ULL, 257ULL, 1000ULL, 65537ULL}) {
    for (std::uint64_t seed : {0ULL, 1ULL, ~0ULL}) {
      std::vector<bool> seen(n);
      for (std::uint64_t i = 0; i < n; ++i) {
        const auto at = permute(i, n, seed, 2);
        ASSERT_LT(at, n);
        ASSERT_FALSE(seen[at]) << n << " " << seed << " " << i;
        seen[at] = true;
      }
    }
  }
}

TEST(Permutation, depends_on_seed_and_epoch_and_keeps_few_neighbours) {
  const std::uint64_t n = 10000;
  int same_seed = 0, same_epoch = 0, neighbours = 0;
  for (std::uint64_t i = 0; i + 1 < n; ++i) {
    same_seed += permute(i, n, 1, 0) == permute(i, n, 2, 0);
    same_epoch += permute(i, n, 1, 0) == permute(i, n, 1, 1);
    neighbours += permute(i, n, 1, 0) + 1 == permute(i + 1, n, 1, 0);
  }
  EXPECT_LT(same_seed, 12);  // about 1 is expected of each
  EXPECT_LT(same_epoch, 12);
  EXPECT_LT(neighbours, 12);
}

TEST(Permutation, values_are_frozen) {  // a job that is resumed by a newer program must see the same samples
  std::vector<std::uint64_t> first;
  for (std::uint64_t i = 0; i < 5; ++i) first.push_back(permute(i, 1000, 1, 0));
  EXPECT_EQ(first, (std::vector<std::uint64_t>{911, 228, 575, 359, 736}));
}

TEST_F(DataTest, damage_is_named) {
  using Json = nlohmann::json;
  write("in", std::string(500, 'q'));
  ASSERT_TRUE(make({"in"}));
  ASSERT_EQ(complaint(), "");
  const std::string bin = read("out.bin"), idx = read("out.idx"), json = read("out.json");
  const auto restore = [&] {
    write("out.bin", bin);
    write("out.idx", idx);
    write("out.json", json);
  };
  const auto expect = [&](const std::string& file, const std::string& what) {
    const std::string said = complaint();
    EXPECT_NE(said.find(file), std::string::npos) << said;
    EXPECT_NE(said.find(what), std::string::npos) << said;
    restore();
  };

  write("out.bin", bin.substr(0, 600));
  expect("out.idx", "the .bin beside it has 600");
  write("out.idx", idx.substr(0, 20));
  expect("out.idx", "fewer than its header");
  write("out.idx", idx.substr(0, idx.size() - 3));
  expect("out.idx", "was cut");
  write("out.idx", "XX" + idx.substr(2));
  expect("out.idx", "does not begin with MMIDIDX");
  for (std::size_t byte = 0; byte < idx.size(); ++byte) {
    std::string flipped = idx;
    flipped[byte] = static_cast<char>(flipped[byte] ^ 0x40);
    write("out.idx", flipped);
    expect("out.idx", "");
  }
  write("out.json", json.substr(0, 30));
  expect("out.json", "cut or damaged");
  write("out.json", "{}");
  expect("out.json", "format is missing");
  write("out.json", R"({"format": 1})");
  expect("out.json", "num_tokens is missing");
  const auto expect_of = [&](const char* key, const Json& value, const std::string& what) {
    Json changed = Json::parse(json);
    ASSERT_TRUE(changed.contains(key)) << key;
    changed[key] = value;
    write("out.json", changed.dump());
    expect("out.json", key + (" " + what));
  };
  expect_of("format", 2, "is 2, but this program reads 1");
  expect_of("format", "1", "must be a whole number");
  expect_of("num_tokens", -1, "is below 0");
  expect_of("num_tokens", "9", "must be a whole number");
  expect_of("num_documents", -1, "is below 0");
  expect_of("num_documents", 1.5, "must be a whole number");
  expect_of("vocab_size", -1, "is below 0");
  expect_of("end_of_sequence", "2", "must be a whole number");
  expect_of("token_type", 2, "must be a string");
  expect_of("token_type", "float", "is 'float', not one of uint16, int32");
  expect_of("bin_xxh3", "", "is empty");
  Json other_type = Json::parse(json);
  other_type["token_type"] = "int32";
  write("out.json", other_type.dump());
  expect("out.json", "speaks of tokens of type int32");
  write("out.idx", "version https://git-lfs.github.com/spec/v1\noid sha256:1234\n");
  expect("out.idx", "is a Git LFS pointer");
  fs::remove(dir / "out.bin");
  ASSERT_EQ(::mkfifo((dir / "out.bin").c_str(), 0600), 0);
  EXPECT_SAYS(complaint(), "out.bin is not a regular file");
  fs::remove(dir / "out.bin");
  expect("out.bin", "No such file");
  fs::remove(dir / "out.idx");
  expect("out.idx", "regroup data prepare");
  fs::remove(dir / "out.json");
  expect("out.sums", "is there, but " + path("out.json") + ", which vouches for it, is missing");

  std::string flipped = bin;
  flipped[77] ^= 1;  // the same size, a token that exists: only the checksum knows
  write("out.bin", flipped);
  auto data = Dataset::open(prefix(), 512, 4, 1);
  ASSERT_TRUE(data);
  auto verified = (*data)->verify();
  ASSERT_FALSE(verified);
  EXPECT_EQ(verified.error().code, Code::kCorrupt);
  EXPECT_NE(verified.error().context.find("out.bin"), std::string::npos);
}

TEST_F(DataTest, tokens_beyond_the_vocabulary_and_too_little_text_are_refused) {
  write("in", "hello");
  ASSERT_TRUE(make({"in"}));
  EXPECT_NE(complaint(256).find("token 256"), std::string::npos) << complaint(256);
  for (const char* ending : {".json", ".sums"})  // files of another program: every token is looked at
    fs::remove(dir / (std::string("out") + ending));
  EXPECT_NE(complaint(256).find("token 256 at position 5"), std::string::npos) << complaint(256);
  EXPECT_EQ(complaint(257), "");
  EXPECT_NE(complaint(512, 6).find("fewer than one sequence"), std::string::npos) << complaint(512, 6);
}

TEST_F(DataTest, a_failed_preparation_leaves_what_was_there) {
  write("in", "hello");
  ASSERT_TRUE(make({"in"}));
  const std::string before = read("out.bin");
  EXPECT_EQ(make({"in", "absent"}).error().code, Code::kNotFound);
  write("empty", "");
  EXPECT_EQ(make({"empty"}).error().code, Code::kBadInput);
  EXPECT_EQ(read("out.bin"), before);
  EXPECT_EQ(complaint(), "");
}

TEST_F(DataTest, the_digest_changes_with_the_data) {
  write("in", "hello");
  ASSERT_TRUE(make({"in"}));
  const auto first = (*Dataset::open(prefix(), 512, 4, 1))->digest();
  write("in", "hellO");
  ASSERT_TRUE(make({"in"}));
  EXPECT_NE((*Dataset::open(prefix(), 512, 4, 1))->digest(), first);
}

}  // namespace
}  // namespace regroup
