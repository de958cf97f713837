// data_fixture.hpp: a folder of its own for each test of data, inputs of every kind, and what comes of them.
#pragma once

#include "moe/data/dataset.hpp"
#include "moe/data/prepare/prepare.hpp"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace regroup {

namespace fs = std::filesystem;

#define EXPECT_SAYS(said, what) EXPECT_NE((said).find(what), std::string::npos) << (said)

inline std::string gzip(const std::string& text) {
  z_stream stream{};
  ::deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(::deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

inline std::string zstd(const std::string& text) {
  std::string out(::ZSTD_compressBound(text.size()), '\0');
  out.resize(::ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

class DataTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "regroup-data-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir = pattern;
  }
  void TearDown() override { fs::remove_all(dir); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((dir / name).parent_path());
    std::ofstream(dir / name, std::ios::binary) << text;
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream in(dir / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  [[nodiscard]] std::string prefix() const { return (dir / "out").string(); }
  Result<PreparedData> make(std::vector<std::string> names, bool split_lines = false) const {
    PrepareOptions options;
    for (const auto& name : names) options.inputs.push_back((dir / name).string());
    options.prefix = prefix();
    options.format = split_lines ? TextFormat::kLines : TextFormat::kText;
    return prepare(options);
  }
  // What opening says, or "" when it opens.
  [[nodiscard]] std::string complaint(std::int64_t vocab = 512, std::int64_t length = 4) const {
    auto data = Dataset::open(prefix(), vocab, length, 1);
    return data ? "" : data.error().context;
  }

  // All tokens in order, as written.
  [[nodiscard]] std::vector<std::int64_t> tokens_of(const std::string& name) const {
    const std::string bytes = read(name + ".bin");
    std::vector<std::int64_t> tokens;
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
      tokens.push_back(static_cast<unsigned char>(bytes[i]) | static_cast<unsigned char>(bytes[i + 1]) << 8);
    return tokens;
  }
  [[nodiscard]] std::string all_of(const std::string& name) const { return read(name + ".bin") + read(name + ".idx"); }
  // The documents, where a token is a byte.
  [[nodiscard]] std::vector<std::string> documents_of(const std::string& name) const {
    std::vector<std::string> documents(1);
    for (const std::int64_t token : tokens_of(name)) {
      if (token == kEndOfSequence) {
        documents.emplace_back();
      } else {
        documents.back() += static_cast<char>(token);
      }
    }
    documents.pop_back();
    return documents;
  }
  [[nodiscard]] std::string path(const std::string& name) const { return (dir / name).string(); }

  fs::path dir;
};

class PrepareTest : public DataTest {
 protected:
  PrepareTest() {
    options.complain = [this](const std::string& line) { complaints.push_back(line); };
  }
  Result<PreparedData> run(const std::vector<std::string>& names, const std::string& out = "out") {
    options.inputs.clear();
    for (const auto& name : names) options.inputs.push_back(path(name));
    options.prefix = path(out);
    complaints.clear();
    return prepare(options);
  }
  std::string error_of(const std::vector<std::string>& names) {
    auto made = run(names);
    return made ? "" : made.error().context;
  }
  using Documents = std::vector<std::string>;

  PrepareOptions options;
  std::vector<std::string> complaints;
};

}  // namespace regroup
