#include "moe/data/dataset.hpp"

#include "base/check.hpp"
#include "moe/data/checksum.hpp"
#include "moe/data/index_file.hpp"
#include "moe/data/mapped_file.hpp"
#include "moe/data/set_record.hpp"

#include <algorithm>
#include <cstring>

namespace regroup {
namespace {

class MappedDataset final : public Dataset {
 public:
  MappedFile bin, sums, idx, json;
  IndexHeader header;
  SetRecord record;
  std::int64_t vocab_size = 0, sequence_length = 0;
  std::uint64_t seed = 0;
  std::string prefix, digest_text;

  [[nodiscard]] std::int64_t num_tokens() const override { return header.num_tokens; }
  [[nodiscard]] std::int64_t num_documents() const override { return header.num_documents; }
  [[nodiscard]] std::int64_t num_sequences() const override { return (header.num_tokens - 1) / sequence_length; }
  [[nodiscard]] std::string digest() const override { return digest_text; }
  [[nodiscard]] std::string tokenizer() const override { return record.tokenizer_name(); }

  Result<void> fill(std::int64_t sample_index, std::span<std::int64_t> tokens) const override {
    CHECK(sample_index >= 0 && static_cast<std::int64_t>(tokens.size()) == sequence_length + 1, "sample", sample_index,
          "into", tokens.size());
    const std::int64_t first = first_token(sample_index);
    if (auto good = check_pieces(first, first + sequence_length + 1); !good) return good;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = token(first + static_cast<std::int64_t>(i));
      if (tokens[i] < 0 || tokens[i] >= vocab_size)
        return Error{Code::kCorrupt,
                     bin.path() + " was changed while in use: it holds token " + std::to_string(tokens[i])};
    }
    return {};
  }

  [[nodiscard]] SamplePlace where(std::int64_t sample_index) const override {
    const std::int64_t first = first_token(sample_index);
    return {prefix, sample_index / num_sequences(), first / sequence_length, first, first_document_behind(first) - 1};
  }

  void document_starts(std::int64_t sample_index, std::vector<std::int32_t>& starts) const override {
    const std::int64_t first = first_token(sample_index);
    starts.assign(1, 0);
    std::int64_t low = first_document_behind(first);
    for (; low < header.num_documents; ++low) {
      const std::int64_t begin = document_begin(idx.bytes(), header, low) - first;
      if (begin >= sequence_length) break;
      // an empty document begins where the next one does
      if (begin > starts.back()) starts.push_back(static_cast<std::int32_t>(begin));
    }
  }

  [[nodiscard]] Result<void> verify() const override {
    if (json.exists()) {
      Xxh3 checksum;
      checksum.add(bin.bytes().data(), bin.bytes().size());
      if (checksum.hex() != record.bin_xxh3)
        return Error{Code::kCorrupt, bin.path() + " has the checksum " + checksum.hex() + ", but " + json.path() +
                                         " says " + record.bin_xxh3 + ": it was damaged; prepare the data again"};
    }
    if (auto good = check_pieces(0, header.num_tokens); !good) return good;
    return check_tokens();
  }

  [[nodiscard]] Result<void> check_tokens() const {
    for (std::int64_t i = 0; i < header.num_tokens; ++i)
      if (const std::int64_t id = token(i); id < 0 || id >= vocab_size)
        return Error{Code::kBadInput, bin.path() + " holds token " + std::to_string(id) + " at position " +
                                          std::to_string(i) + ", but the model's vocab_size is " +
                                          std::to_string(vocab_size)};
    return {};
  }

 private:
  // The pieces of .bin that hold tokens [first, end).
  [[nodiscard]] Result<void> check_pieces(std::int64_t first, std::int64_t end) const {
    if (!sums.exists()) return {};
    const std::span<const char> all = bin.bytes();
    const auto width = static_cast<std::size_t>(header.token_bytes);
    for (std::size_t piece = static_cast<std::size_t>(first) * width / kSummedBytes;
         piece * kSummedBytes < static_cast<std::size_t>(end) * width; ++piece) {
      const std::size_t begin = piece * kSummedBytes;
      const std::size_t size = std::min(kSummedBytes, all.size() - begin);
      std::uint64_t sum = 0;
      std::memcpy(&sum, sums.bytes().data() + piece * sizeof sum, sizeof sum);
      if (xxh3(all.data() + begin, size) != sum)
        return Error{Code::kCorrupt, bin.path() + " is damaged: bytes " + std::to_string(begin) + " to " +
                                         std::to_string(begin + size) + " are not what " + sums.path() +
                                         " says; copy the file here again, or prepare the data again"};
    }
    return {};
  }
  [[nodiscard]] std::int64_t first_token(std::int64_t sample_index) const {
    const auto n = static_cast<std::uint64_t>(num_sequences());
    const auto index = static_cast<std::uint64_t>(sample_index);
    return static_cast<std::int64_t>(permute(index % n, n, seed, index / n)) * sequence_length;
  }
  [[nodiscard]] std::int64_t first_document_behind(std::int64_t position) const {
    std::int64_t low = 0, high = header.num_documents;
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (document_begin(idx.bytes(), header, middle) > position) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }
  [[nodiscard]] std::int64_t token(std::int64_t position) const {
    if (header.token_bytes == 2) {
      std::uint16_t value;
      std::memcpy(&value, bin.bytes().data() + position * 2, 2);
      return value;
    }
    std::int32_t value;
    std::memcpy(&value, bin.bytes().data() + position * 4, 4);
    return value;
  }
};

Result<void> check_record(MappedDataset& data, const std::string& idx_checksum) {
  auto record = read_set_record({data.json.bytes().data(), data.json.bytes().size()}, data.json.path());
  if (!record) return record.error();
  data.record = *record;
  if (idx_checksum != record->idx_xxh3)
    return Error{Code::kCorrupt, data.idx.path() + " has the checksum " + idx_checksum + ", but " + data.json.path() +
                                     " says " + record->idx_xxh3 +
                                     ": it was damaged or belongs to other data; prepare the data again"};
  if (record->num_tokens != data.header.num_tokens)
    return Error{Code::kCorrupt, data.json.path() + " speaks of " + std::to_string(record->num_tokens) + " tokens, " +
                                     data.idx.path() + " of " + std::to_string(data.header.num_tokens) +
                                     "; prepare the data again"};
  if (record->num_documents >= 0 && record->num_documents != data.header.num_documents)
    return Error{Code::kCorrupt, data.json.path() + " speaks of " + std::to_string(record->num_documents) +
                                     " documents, " + data.idx.path() + " of " +
                                     std::to_string(data.header.num_documents) + "; prepare the data again"};
  if (const char* stored = kTokenTypes[data.header.token_bytes == 2 ? 0 : 1];
      !record->token_type.empty() && record->token_type != stored)
    return Error{Code::kCorrupt, data.json.path() + " speaks of tokens of type " + record->token_type + ", " +
                                     data.idx.path() + " of " + stored + "; prepare the data again"};
  if (record->max_token >= data.vocab_size)
    return Error{Code::kBadInput, data.bin.path() + " holds token " + std::to_string(record->max_token) +
                                      ", but the model's vocab_size is " + std::to_string(data.vocab_size)};
  if (record->vocab_size > data.vocab_size)
    return Error{Code::kBadInput, data.json.path() + " was made with a tokenizer of " +
                                      std::to_string(record->vocab_size) + " tokens, but the model's vocab_size is " +
                                      std::to_string(data.vocab_size)};
  return {};
}

// Of .sums, which says what .bin is, .json says what it is itself.
Result<void> open_sums(MappedDataset& data, const std::string& prefix) {
  const bool is_expected = !data.record.sums_xxh3.empty();
  auto sums = MappedFile::open(prefix + ".sums", !is_expected);
  if (!sums) return sums.error();
  if (!is_expected && (!sums->exists() || data.json.exists())) return data.verify();  // the record vouches for .bin
  if (!is_expected)
    return Error{Code::kCorrupt, sums->path() + " is there, but " + data.json.path() +
                                     ", which vouches for it, is missing: the data cannot be checked; copy all four "
                                     "files here again, or prepare the data again"};
  data.sums = std::move(*sums);
  Xxh3 checksum;
  checksum.add(data.sums.bytes().data(), data.sums.bytes().size());
  const std::size_t pieces = (data.bin.bytes().size() + kSummedBytes - 1) / kSummedBytes;
  if (checksum.hex() != data.record.sums_xxh3 || data.sums.bytes().size() != pieces * sizeof(std::uint64_t))
    return Error{Code::kCorrupt, data.sums.path() + " has the checksum " + checksum.hex() + ", but " +
                                     data.json.path() + " says " + data.record.sums_xxh3 +
                                     ": it was damaged or belongs to other data; prepare the data again"};
  return {};
}

}  // namespace

Result<std::unique_ptr<Dataset>> Dataset::open(const std::string& prefix, std::int64_t vocab_size,
                                               std::int64_t sequence_length, std::uint64_t seed) {
  CHECK(sequence_length > 0, "sequence_length", sequence_length);
  auto data = std::make_unique<MappedDataset>();
  data->vocab_size = vocab_size;
  data->sequence_length = sequence_length;
  data->seed = seed;
  data->prefix = prefix;
  auto idx = MappedFile::open(prefix + ".idx");
  if (!idx) return idx.error();
  auto bin = MappedFile::open(prefix + ".bin");
  if (!bin) return bin.error();
  auto json = MappedFile::open(prefix + ".json", true);
  if (!json) return json.error();
  data->idx = std::move(*idx);
  data->bin = std::move(*bin);
  data->json = std::move(*json);

  auto header = decode_index(data->idx.bytes(), static_cast<std::int64_t>(data->bin.bytes().size()));
  if (!header) return header.error().within(data->idx.path());
  data->header = *header;
  if (data->header.num_tokens < sequence_length + 1)
    return Error{Code::kBadInput, data->bin.path() + " holds " + std::to_string(data->header.num_tokens) +
                                      " tokens, fewer than one sequence of sequence_length + 1 = " +
                                      std::to_string(sequence_length + 1)};
  Xxh3 idx_checksum;
  idx_checksum.add(data->idx.bytes().data(), data->idx.bytes().size());
  Xxh3 both;
  both.add(data->idx.bytes().data(), data->idx.bytes().size());
  both.add(data->json.bytes().data(), data->json.bytes().size());
  // nothing else says what the tokens are
  if (!data->json.exists()) both.add(data->bin.bytes().data(), data->bin.bytes().size());
  data->digest_text = both.hex();
  if (data->json.exists())
    if (auto checked = check_record(*data, idx_checksum.hex()); !checked) return checked.error();
  if (auto pinned = open_sums(*data, prefix); !pinned) return pinned.error();
  return std::unique_ptr<Dataset>(std::move(data));
}

}  // namespace regroup
