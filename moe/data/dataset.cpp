#include "moe/data/dataset.hpp"

#include "base/check.hpp"
#include "moe/data/checksum.hpp"
#include "moe/data/index_file.hpp"
#include "moe/data/mixture.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace regroup {
namespace {

class MappedFile {
 public:
  static Result<MappedFile> open(const std::string& path, bool may_be_absent = false) {
    MappedFile file;
    file.path_ = path;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      if (may_be_absent && errno == ENOENT) return file;
      return Error{Code::kNotFound, "cannot read " + path + ": " + std::strerror(errno) + "; `regroup data prepare` makes it"};
    }
    struct stat status {};
    if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
      ::close(fd);
      return Error{Code::kBadInput, path + " is not a regular file"};
    }
    file.exists_ = true;
    file.size_ = static_cast<std::size_t>(status.st_size);
    if (file.size_ > 0) {
      void* data = ::mmap(nullptr, file.size_, PROT_READ, MAP_SHARED, fd, 0);
      if (data == MAP_FAILED) {
        const int error = errno;
        ::close(fd);
        return Error{Code::kUnavailable, "cannot map " + path + ": " + std::strerror(error)};
      }
      file.data_ = static_cast<const char*>(data);
    }
    ::close(fd);
    return file;
  }
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(exists_, other.exists_);
    return *this;
  }
  ~MappedFile() {
    if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::span<const char> bytes() const { return {data_, size_}; }
  [[nodiscard]] bool exists() const { return exists_; }

 private:
  std::string path_;
  const char* data_ = nullptr;
  std::size_t size_ = 0;
  bool exists_ = false;
};

// PREFIX.json, as far as a reader needs it.
struct Record {
  std::int64_t num_tokens = -1;
  std::int64_t max_token = -1;
  std::int64_t vocab_size = -1;   // of the tokenizer; -1 = not said
  std::string bin_xxh3, idx_xxh3, sums_xxh3;   // sums_xxh3: empty without .sums
  std::string tokenizer;                       // kind and checksum; "" = not said
};

Result<Record> read_record(const MappedFile& file) {
  const auto json = nlohmann::json::parse(file.bytes().begin(), file.bytes().end(), nullptr, false);
  const auto damaged = [&](const char* what) { return Error{Code::kCorrupt, file.path() + ": " + what + "; prepare the data again"}; };
  if (!json.is_object()) return damaged("it is not a JSON object: it was cut or damaged");
  Record record;
  const auto number = [&](const char* key) { return json.contains(key) && json[key].is_number_integer() ? json[key].get<std::int64_t>() : -1; };
  const auto text = [&](const char* key) { return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : std::string(); };
  record.num_tokens = number("num_tokens");
  record.max_token = number("max_token");
  record.vocab_size = number("vocab_size");
  record.bin_xxh3 = text("bin_xxh3");
  record.tokenizer = text("tokenizer") + (text("tokenizer_xxh3").empty() ? "" : " " + text("tokenizer_xxh3"));
  record.idx_xxh3 = text("idx_xxh3");
  record.sums_xxh3 = text("sums_xxh3");
  if (record.num_tokens < 0 || record.max_token < 0 || record.bin_xxh3.empty() || record.idx_xxh3.empty())
    return damaged("num_tokens, max_token, bin_xxh3 or idx_xxh3 is missing");
  return record;
}

class MappedDataset final : public Dataset {
 public:
  MappedFile bin, sums, idx, json;
  IndexHeader header;
  Record record;
  std::int64_t vocab_size = 0, sequence_length = 0;
  std::uint64_t seed = 0;
  std::string digest_text;

  [[nodiscard]] std::int64_t num_tokens() const override { return header.num_tokens; }
  [[nodiscard]] std::int64_t num_documents() const override { return header.num_documents; }
  [[nodiscard]] std::int64_t num_sequences() const override { return (header.num_tokens - 1) / sequence_length; }
  [[nodiscard]] std::string digest() const override { return digest_text; }
  [[nodiscard]] std::string tokenizer() const override { return record.tokenizer; }

  Result<void> fill(std::int64_t sample_index, std::span<std::int64_t> tokens) const override {
    CHECK(sample_index >= 0 && static_cast<std::int64_t>(tokens.size()) == sequence_length + 1, "sample", sample_index, "into", tokens.size());
    const std::int64_t first = first_token(sample_index);
    if (auto good = check_pieces(first, first + sequence_length + 1); !good) return good;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = token(first + static_cast<std::int64_t>(i));
      if (tokens[i] < 0 || tokens[i] >= vocab_size) return Error{Code::kCorrupt, bin.path() + " was changed while in use: it holds token " + std::to_string(tokens[i])};
    }
    return {};
  }

  void document_starts(std::int64_t sample_index, std::vector<std::int32_t>& starts) const override {
    const std::int64_t first = first_token(sample_index);
    starts.assign(1, 0);
    std::int64_t low = 0, high = header.num_documents;   // the first document that begins behind `first`
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (document_begin(idx.bytes(), header, middle) > first) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    for (; low < header.num_documents; ++low) {
      const std::int64_t begin = document_begin(idx.bytes(), header, low) - first;
      if (begin >= sequence_length) break;
      if (begin > starts.back()) starts.push_back(static_cast<std::int32_t>(begin));   // an empty document begins where the next one does
    }
  }

  [[nodiscard]] Result<void> verify() const override {
    if (json.exists()) {
      Xxh3 checksum;
      checksum.add(bin.bytes().data(), bin.bytes().size());
      if (checksum.hex() != record.bin_xxh3)
        return Error{Code::kCorrupt, bin.path() + " has the checksum " + checksum.hex() + ", but " + json.path() + " says " + record.bin_xxh3 +
                                         ": it was damaged; prepare the data again"};
    }
    if (auto good = check_pieces(0, header.num_tokens); !good) return good;
    return check_tokens();
  }

  [[nodiscard]] Result<void> check_tokens() const {
    for (std::int64_t i = 0; i < header.num_tokens; ++i)
      if (const std::int64_t id = token(i); id < 0 || id >= vocab_size)
        return Error{Code::kBadInput, bin.path() + " holds token " + std::to_string(id) + " at position " + std::to_string(i) + ", but the model's vocab_size is " +
                                          std::to_string(vocab_size)};
    return {};
  }

 private:
  // The pieces of .bin that hold tokens [first, end).
  [[nodiscard]] Result<void> check_pieces(std::int64_t first, std::int64_t end) const {
    if (!sums.exists()) return {};
    const std::span<const char> all = bin.bytes();
    const auto width = static_cast<std::size_t>(header.token_bytes);
    for (std::size_t piece = static_cast<std::size_t>(first) * width / kSummedBytes; piece * kSummedBytes < static_cast<std::size_t>(end) * width; ++piece) {
      const std::size_t begin = piece * kSummedBytes;
      const std::size_t size = std::min(kSummedBytes, all.size() - begin);
      std::uint64_t sum = 0;
      std::memcpy(&sum, sums.bytes().data() + piece * sizeof sum, sizeof sum);
      if (xxh3(all.data() + begin, size) != sum)
        return Error{Code::kCorrupt, bin.path() + " is damaged: bytes " + std::to_string(begin) + " to " + std::to_string(begin + size) + " are not what " + sums.path() +
                                         " says; copy the file here again, or prepare the data again"};
    }
    return {};
  }
  [[nodiscard]] std::int64_t first_token(std::int64_t sample_index) const {
    const auto n = static_cast<std::uint64_t>(num_sequences());
    const auto index = static_cast<std::uint64_t>(sample_index);
    return static_cast<std::int64_t>(permute(index % n, n, seed, index / n)) * sequence_length;
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

class MixedDataset final : public Dataset {
 public:
  MixedDataset(std::vector<std::unique_ptr<Dataset>> sets, Mixture mixture, std::uint64_t seed) : sets_(std::move(sets)), mixture_(std::move(mixture)), seed_(seed) {}

  [[nodiscard]] std::int64_t num_tokens() const override { return sum(&Dataset::num_tokens); }
  [[nodiscard]] std::int64_t num_documents() const override { return sum(&Dataset::num_documents); }
  [[nodiscard]] std::int64_t num_sequences() const override { return sum(&Dataset::num_sequences); }
  Result<void> fill(std::int64_t sample_index, std::span<std::int64_t> tokens) const override {
    CHECK(sample_index >= 0, "sample", sample_index);
    const auto [source, sample] = mixture_.place(sample_index, seed_);
    return sets_[static_cast<std::size_t>(source)]->fill(sample, tokens);
  }
  void document_starts(std::int64_t sample_index, std::vector<std::int32_t>& starts) const override {
    const auto [source, sample] = mixture_.place(sample_index, seed_);
    sets_[static_cast<std::size_t>(source)]->document_starts(sample, starts);
  }
  [[nodiscard]] std::string digest() const override {
    Xxh3 all;
    for (std::size_t i = 0; i < sets_.size(); ++i) {
      const std::string line = sets_[i]->digest() + " " + std::to_string(mixture_.counts()[i]) + "\n";
      all.add(line.data(), line.size());
    }
    return all.hex();
  }
  [[nodiscard]] std::string tokenizer() const override { return sets_.front()->tokenizer(); }
  [[nodiscard]] Result<void> verify() const override {
    for (const auto& set : sets_)
      if (auto good = set->verify(); !good) return good;
    return {};
  }

 private:
  [[nodiscard]] std::int64_t sum(std::int64_t (Dataset::*of)() const) const {
    std::int64_t all = 0;
    for (const auto& set : sets_) all += (*set.*of)();
    return all;
  }
  std::vector<std::unique_ptr<Dataset>> sets_;
  Mixture mixture_;
  std::uint64_t seed_;
};

Result<void> check_record(MappedDataset& data, const std::string& idx_checksum) {
  auto record = read_record(data.json);
  if (!record) return record.error();
  data.record = *record;
  if (idx_checksum != record->idx_xxh3)
    return Error{Code::kCorrupt, data.idx.path() + " has the checksum " + idx_checksum + ", but " + data.json.path() + " says " + record->idx_xxh3 +
                                     ": it was damaged or belongs to other data; prepare the data again"};
  if (record->num_tokens != data.header.num_tokens)
    return Error{Code::kCorrupt, data.json.path() + " speaks of " + std::to_string(record->num_tokens) + " tokens, " + data.idx.path() + " of " +
                                     std::to_string(data.header.num_tokens) + "; prepare the data again"};
  if (record->max_token >= data.vocab_size)
    return Error{Code::kBadInput, data.bin.path() + " holds token " + std::to_string(record->max_token) + ", but the model's vocab_size is " +
                                      std::to_string(data.vocab_size)};
  if (record->vocab_size > data.vocab_size)
    return Error{Code::kBadInput, data.json.path() + " was made with a tokenizer of " + std::to_string(record->vocab_size) + " tokens, but the model's vocab_size is " +
                                      std::to_string(data.vocab_size)};
  return {};
}

Result<void> open_sums(MappedDataset& data, const std::string& prefix) {
  auto sums = MappedFile::open(prefix + ".sums");
  if (!sums) return sums.error();
  data.sums = std::move(*sums);
  Xxh3 checksum;
  checksum.add(data.sums.bytes().data(), data.sums.bytes().size());
  const std::size_t pieces = (data.bin.bytes().size() + kSummedBytes - 1) / kSummedBytes;
  if (checksum.hex() != data.record.sums_xxh3 || data.sums.bytes().size() != pieces * sizeof(std::uint64_t))
    return Error{Code::kCorrupt, data.sums.path() + " has the checksum " + checksum.hex() + ", but " + data.json.path() + " says " + data.record.sums_xxh3 +
                                     ": it was damaged or belongs to other data; prepare the data again"};
  return {};
}

}  // namespace

Result<std::unique_ptr<Dataset>> Dataset::open(const std::string& prefix, std::int64_t vocab_size, std::int64_t sequence_length, std::uint64_t seed) {
  CHECK(sequence_length > 0, "sequence_length", sequence_length);
  auto data = std::make_unique<MappedDataset>();
  data->vocab_size = vocab_size;
  data->sequence_length = sequence_length;
  data->seed = seed;
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
    return Error{Code::kBadInput, data->bin.path() + " holds " + std::to_string(data->header.num_tokens) + " tokens, fewer than one sequence of sequence_length + 1 = " +
                                      std::to_string(sequence_length + 1)};
  Xxh3 idx_checksum;
  idx_checksum.add(data->idx.bytes().data(), data->idx.bytes().size());
  Xxh3 both;
  both.add(data->idx.bytes().data(), data->idx.bytes().size());
  both.add(data->json.bytes().data(), data->json.bytes().size());
  if (!data->json.exists()) both.add(data->bin.bytes().data(), data->bin.bytes().size());   // nothing else says what the tokens are
  data->digest_text = both.hex();
  if (data->json.exists())
    if (auto checked = check_record(*data, idx_checksum.hex()); !checked) return checked.error();
  const auto pinned = data->record.sums_xxh3.empty() ? data->verify() : open_sums(*data, prefix);
  if (!pinned) return pinned.error();
  return std::unique_ptr<Dataset>(std::move(data));
}

Result<std::unique_ptr<Dataset>> Dataset::open(const std::vector<DataSource>& sources, std::int64_t vocab_size, std::int64_t sequence_length, std::uint64_t seed) {
  if (sources.empty()) return Error{Code::kBadInput, "no data is given"};
  std::vector<std::unique_ptr<Dataset>> sets;
  std::vector<double> weights;
  for (const DataSource& source : sources) {
    // Sets of one size must not be shuffled alike; the first one is, so that a mixture of one is that one.
    auto set = open(source.prefix, vocab_size, sequence_length, seed + sets.size() * 0x9e3779b97f4a7c15ULL);
    if (!set) return set.error();
    sets.push_back(std::move(*set));
    weights.push_back(source.weight);
  }
  if (sets.size() == 1) return std::move(sets.front());
  auto mixture = Mixture::make(weights);
  if (!mixture) return mixture.error().within("data");
  return std::unique_ptr<Dataset>(std::make_unique<MixedDataset>(std::move(sets), std::move(*mixture), seed));
}

}  // namespace regroup
