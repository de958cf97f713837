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
    : bin_(prefix + ".bin"), idx_(prefix + ".idx"), json_(prefix + ".json"), token_bytes_(vocab_size <= 65536 ? 2 : 4) {
  made_.prefix = std::move(prefix);
}

Result<void> SetWriter::create() {
  for (NewFile* file : {&bin_, &idx_, &json_})
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
    checksum_.add(buffer_.data(), size);
    if (auto written = bin_.write(buffer_.data(), size); !written) return written;
    if (!long_document_) long_document_ = Start{bin_.size(), checksum_};
    checksum_.add(buffer_.data() + size, buffer_.size() - size);
    auto written = bin_.write(buffer_.data() + size, buffer_.size() - size);
    buffer_.clear();
    document_at_ = 0;
    return written;
  }
  checksum_.add(buffer_.data(), size);
  auto written = bin_.write(buffer_.data(), size);
  buffer_.erase(0, size);
  document_at_ = 0;
  return written;
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
  auto done = bin_.cut(long_document_->bin_size);
  long_document_.reset();
  return done;
}

Result<MadeSet> SetWriter::finish() {
  document_at_ = buffer_.size();
  if (auto flushed = flush(); !flushed) return flushed.error();
  if (auto written = idx_.write(lengths_.data(), lengths_.size() * sizeof(std::int32_t)); !written) return written.error();
  lengths_.clear();

  // The lengths are there; what follows them in the file is computed from them, a block at a time.
  std::vector<std::int32_t> lengths;
  std::vector<std::int64_t> numbers;
  const std::int64_t n = made_.num_documents;
  std::int64_t offset = 0;
  for (std::int64_t first = 0; first < n; first += static_cast<std::int64_t>(lengths.size())) {
    lengths.resize(static_cast<std::size_t>(std::min<std::int64_t>(n - first, kFlushLengths)));
    if (auto read = idx_.read_at(kIndexHeaderBytes + first * 4, lengths.data(), lengths.size() * 4); !read) return read.error();
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

  Xxh3 checksum;
  std::string block;
  for (std::int64_t at = 0; at < idx_.size(); at += static_cast<std::int64_t>(block.size())) {
    block.resize(static_cast<std::size_t>(std::min<std::int64_t>(idx_.size() - at, kFlushBytes)));
    if (auto read = idx_.read_at(at, block.data(), block.size()); !read) return read.error();
    checksum.add(block.data(), block.size());
  }
  made_.idx_xxh3 = checksum.hex();
  made_.bin_xxh3 = checksum_.hex();
  return made_;
}

Result<void> SetWriter::commit(const std::string& record) {
  if (auto written = json_.write(record.data(), record.size()); !written) return written;
  for (NewFile* file : {&bin_, &idx_, &json_})
    if (auto synced = file->sync(); !synced) return synced;
  for (NewFile* file : {&bin_, &idx_, &json_})
    if (auto published = file->publish(); !published) return published;
  sync_directory_of(made_.prefix);
  return {};
}

}  // namespace regroup
