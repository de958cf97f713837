#include "moe/data/prepare/set_writer.hpp"

#include "moe/data/index_file.hpp"

#include <algorithm>
#include <limits>

namespace regroup {
namespace {

constexpr std::size_t kFlushBytes = 4 << 20;
constexpr std::size_t kFlushLengths = 1 << 16;
constexpr std::int64_t kLongestDocument = std::numeric_limits<std::int32_t>::max();

}  // namespace

SetWriter::SetWriter(std::string prefix, std::int64_t vocab_size)
    : bin_(prefix + ".bin"),
      sums_(prefix + ".sums"),
      idx_(prefix + ".idx"),
      json_(prefix + ".json"),
      token_bytes_(vocab_size <= 65536 ? 2 : 4) {
  made_.prefix = std::move(prefix);
}

Result<void> SetWriter::create() {
  for (NewFile* file : {&bin_, &sums_, &idx_, &json_})
    if (auto created = file->create(); !created) return created.error();
  const std::string room(kIndexHeaderBytes, '\0');
  return idx_.write(room.data(), room.size());
}

Result<void> SetWriter::append(std::span<const std::int32_t> tokens) {
  if (document_tokens_ + static_cast<std::int64_t>(tokens.size()) >= kLongestDocument)
    return Error{Code::kBadInput, "a document is longer than 2^31 - 1 tokens; split it"};
  const std::size_t at = buffer_.size();
  buffer_.resize(at + tokens.size() * static_cast<std::size_t>(token_bytes_));
  std::int32_t max = document_max_;
  if (token_bytes_ == 2) {
    auto* to = reinterpret_cast<std::uint16_t*>(buffer_.data() + at);
    for (const std::int32_t token : tokens) {
      *to++ = static_cast<std::uint16_t>(token);
      max = std::max(max, token);
    }
  } else {
    auto* to = reinterpret_cast<std::int32_t*>(buffer_.data() + at);
    for (const std::int32_t token : tokens) {
      *to++ = token;
      max = std::max(max, token);
    }
  }
  document_max_ = max;
  document_tokens_ += static_cast<std::int64_t>(tokens.size());
  return buffer_.size() >= kFlushBytes ? flush() : Result<void>{};
}

// Up to the document under way; it too where it alone fills the buffer, but then the way back is kept.
Result<void> SetWriter::flush() {
  std::size_t size = document_at_;
  if (size < kFlushBytes / 2 && buffer_.size() >= kFlushBytes) {
    if (auto written = write_tokens(0, size); !written) return written;
    if (!long_document_) long_document_ = Start{bin_.size(), checksum_};
    auto written = write_tokens(size, buffer_.size() - size);
    buffer_.clear();
    document_at_ = 0;
    return written;
  }
  auto written = write_tokens(0, size);
  buffer_.erase(0, size);
  document_at_ = 0;
  return written;
}

Result<void> SetWriter::write_tokens(std::size_t first, std::size_t size) {
  checksum_.add(buffer_.data() + first, size);
  unsummed_.append(buffer_, first, size);
  std::string sums;
  std::size_t summed = 0;
  for (; unsummed_.size() - summed >= kSummedBytes; summed += kSummedBytes) {
    const std::uint64_t sum = xxh3(unsummed_.data() + summed, kSummedBytes);
    sums.append(reinterpret_cast<const char*>(&sum), sizeof sum);
  }
  unsummed_.erase(0, summed);
  if (auto written = sums_.write(sums.data(), sums.size()); !written) return written;
  return bin_.write(buffer_.data() + first, size);
}

Result<void> SetWriter::cut_tokens(std::int64_t size) {
  const auto piece = static_cast<std::int64_t>(kSummedBytes);
  const std::int64_t summed = size / piece;
  if (auto cut = sums_.cut(summed * static_cast<std::int64_t>(sizeof(std::uint64_t))); !cut) return cut;
  unsummed_.resize(static_cast<std::size_t>(size - summed * piece));
  if (auto read = bin_.read_at(summed * piece, unsummed_.data(), unsummed_.size()); !read) return read;
  return bin_.cut(size);
}

Result<std::string> SetWriter::checksum_of(const NewFile& file) const {
  Xxh3 checksum;
  std::string block;
  for (std::int64_t at = 0; at < file.size(); at += static_cast<std::int64_t>(block.size())) {
    block.resize(static_cast<std::size_t>(std::min<std::int64_t>(file.size() - at, kFlushBytes)));
    if (auto read = file.read_at(at, block.data(), block.size()); !read) return read.error();
    checksum.add(block.data(), block.size());
  }
  return checksum.hex();
}

Result<void> SetWriter::end_document(std::int32_t end_token) {
  if (auto appended = append({&end_token, 1}); !appended) return appended;
  lengths_.push_back(static_cast<std::int32_t>(document_tokens_));
  made_.num_tokens += document_tokens_;
  made_.max_token = std::max<std::int64_t>(made_.max_token, document_max_);
  ++made_.num_documents;
  document_at_ = buffer_.size();
  document_tokens_ = 0;
  long_document_.reset();
  if (lengths_.size() < kFlushLengths) return {};
  auto written = idx_.write(lengths_.data(), lengths_.size() * sizeof(std::int32_t));
  lengths_.clear();
  return written;
}

Result<void> SetWriter::drop_document() {
  buffer_.resize(document_at_);
  document_tokens_ = 0;
  document_max_ = static_cast<std::int32_t>(made_.max_token);
  if (!long_document_) return {};
  checksum_ = long_document_->checksum;
  auto done = cut_tokens(long_document_->bin_size);
  long_document_.reset();
  return done;
}

Result<MadeSet> SetWriter::finish() {
  document_at_ = buffer_.size();
  if (auto flushed = flush(); !flushed) return flushed.error();
  if (!unsummed_.empty()) {
    const std::uint64_t sum = xxh3(unsummed_.data(), unsummed_.size());
    if (auto written = sums_.write(&sum, sizeof sum); !written) return written.error();
  }
  if (auto written = idx_.write(lengths_.data(), lengths_.size() * sizeof(std::int32_t)); !written)
    return written.error();
  lengths_.clear();

  // The lengths are there; what follows them in the file is computed from them, a block at a time.
  std::vector<std::int32_t> lengths;
  std::vector<std::int64_t> numbers;
  const std::int64_t n = made_.num_documents;
  std::int64_t offset = 0;
  for (std::int64_t first = 0; first < n; first += static_cast<std::int64_t>(lengths.size())) {
    lengths.resize(static_cast<std::size_t>(std::min<std::int64_t>(n - first, kFlushLengths)));
    if (auto read = idx_.read_at(kIndexHeaderBytes + first * 4, lengths.data(), lengths.size() * 4); !read)
      return read.error();
    numbers.clear();
    for (const std::int32_t length : lengths) {
      numbers.push_back(offset);
      offset += std::int64_t{length} * token_bytes_;
    }
    if (auto written = idx_.write(numbers.data(), numbers.size() * 8); !written) return written.error();
  }
  for (std::int64_t first = 0; first <= n; first += static_cast<std::int64_t>(numbers.size())) {
    numbers.resize(static_cast<std::size_t>(std::min<std::int64_t>(n + 1 - first, kFlushLengths)));
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = first + static_cast<std::int64_t>(i);
    if (auto written = idx_.write(numbers.data(), numbers.size() * 8); !written) return written.error();
  }
  const std::string header = encode_index_header(token_bytes_, n);
  if (auto written = idx_.write_at(0, header.data(), header.size()); !written) return written.error();

  auto idx_checksum = checksum_of(idx_);
  if (!idx_checksum) return idx_checksum.error();
  auto sums_checksum = checksum_of(sums_);
  if (!sums_checksum) return sums_checksum.error();
  made_.idx_xxh3 = std::move(*idx_checksum);
  made_.sums_xxh3 = std::move(*sums_checksum);
  made_.bin_xxh3 = checksum_.hex();
  return made_;
}

Result<void> SetWriter::commit(const std::string& record) {
  if (auto written = json_.write(record.data(), record.size()); !written) return written;
  for (NewFile* file : {&bin_, &sums_, &idx_, &json_})
    if (auto synced = file->sync(); !synced) return synced;
  for (NewFile* file : {&bin_, &sums_, &idx_, &json_})
    if (auto published = file->publish(); !published) return published;
  sync_directory_of(made_.prefix);
  return {};
}

}  // namespace regroup
