#include "moe/data/prepare.hpp"

#include "moe/data/checksum.hpp"
#include "moe/data/index_file.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>

namespace regroup {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReadBytes = 1 << 20;
constexpr std::int64_t kLongestDocument = std::numeric_limits<std::int32_t>::max();

// A file that appears under its name only when `publish` succeeds.
class NewFile {
 public:
  explicit NewFile(std::string path) : path_(std::move(path)), temporary_(path_ + ".tmp" + std::to_string(::getpid())) {}
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!published_) ::unlink(temporary_.c_str());
  }
  Result<void> create() {
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return fd_ < 0 ? failed("create") : Result<void>{};
  }
  Result<void> write(const char* data, std::size_t size) {
    while (size > 0) {
      const ssize_t n = ::write(fd_, data, size);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed("write");
      data += n;
      size -= static_cast<std::size_t>(n);
    }
    return {};
  }
  Result<void> sync() { return ::fsync(fd_) == 0 ? Result<void>{} : failed("sync"); }
  Result<void> publish() {
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failed("rename");
    published_ = true;
    return {};
  }

 private:
  Result<void> failed(const char* what) {
    return Error{Code::kUnavailable, std::string("cannot ") + what + " " + temporary_ + ": " + std::strerror(errno)};
  }
  std::string path_, temporary_;
  int fd_ = -1;
  bool published_ = false;
};

struct Input {
  std::string path;
  std::int64_t bytes = 0;
};

Result<std::vector<Input>> list_inputs(const std::vector<std::string>& names) {
  std::vector<Input> inputs;
  for (const std::string& name : names) {
    std::error_code error;
    if (name == "-") {
      inputs.push_back({name, 0});
    } else if (fs::is_directory(name, error)) {
      std::vector<Input> found;
      for (fs::recursive_directory_iterator at(name, error), end; !error && at != end; at.increment(error))
        if (at->is_regular_file(error)) found.push_back({at->path().string(), static_cast<std::int64_t>(at->file_size(error))});
      if (error) return Error{Code::kBadInput, "cannot read the directory " + name + ": " + error.message()};
      std::sort(found.begin(), found.end(), [](const Input& a, const Input& b) { return a.path < b.path; });
      inputs.insert(inputs.end(), found.begin(), found.end());
    } else if (fs::exists(name, error)) {
      const auto size = fs::file_size(name, error);
      inputs.push_back({name, error ? 0 : static_cast<std::int64_t>(size)});
    } else {
      return Error{Code::kNotFound, "there is no input " + name};
    }
  }
  return inputs;
}

// Bytes in, tokens out, one document after the other.
class ByteTokens {
 public:
  ByteTokens(NewFile& bin, bool split_lines) : bin_(bin), split_lines_(split_lines) { buffer_.reserve(2 * kReadBytes); }

  Result<void> add(const char* data, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      const auto byte = static_cast<unsigned char>(data[i]);
      if (split_lines_ && byte == '\n') {
        end_document();
      } else {
        push(byte);
        if (++length_ >= kLongestDocument) return Error{Code::kBadInput, "a document is longer than 2^31 - 1 tokens; split it, or use --split-lines"};
      }
    }
    return buffer_.size() >= kReadBytes ? flush() : Result<void>{};
  }
  Result<void> end_input() {
    if (!split_lines_ || length_ > 0) end_document();
    return flush();
  }

  std::vector<std::int32_t> lengths;
  std::int64_t num_tokens = 0, num_empty = 0;
  int max_token = 0;
  Xxh3 checksum;

 private:
  void push(int token) {
    buffer_.push_back(static_cast<std::uint16_t>(token));
    max_token = std::max(max_token, token);
  }
  void end_document() {
    if (length_ == 0) {
      ++num_empty;
      return;
    }
    push(kEndOfSequence);
    lengths.push_back(static_cast<std::int32_t>(length_ + 1));
    num_tokens += length_ + 1;
    length_ = 0;
  }
  Result<void> flush() {
    const auto* bytes = reinterpret_cast<const char*>(buffer_.data());
    const std::size_t size = buffer_.size() * sizeof(std::uint16_t);
    checksum.add(bytes, size);
    auto written = bin_.write(bytes, size);
    buffer_.clear();
    return written;
  }

  NewFile& bin_;
  bool split_lines_;
  std::vector<std::uint16_t> buffer_;
  std::int64_t length_ = 0;
};

Result<void> read_input(const Input& input, ByteTokens& tokens, const std::function<void(std::int64_t)>& progress) {
  const int fd = input.path == "-" ? ::dup(0) : ::open(input.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Error{Code::kBadInput, "cannot read " + input.path + ": " + std::strerror(errno)};
  std::vector<char> buffer(kReadBytes);
  Result<void> result;
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      result = Error{Code::kBadInput, "cannot read " + input.path + ": " + std::strerror(errno)};
      break;
    }
    if (n == 0) break;
    result = tokens.add(buffer.data(), static_cast<std::size_t>(n));
    if (!result) break;
    progress(n);
  }
  ::close(fd);
  if (!result) return result;
  return tokens.end_input();
}

std::string record_json(const PrepareOptions& options, const Prepared& made, int max_token) {
  nlohmann::ordered_json json;
  json["format"] = 1;
  json["tokenizer"] = "bytes";
  json["token_type"] = "u16";
  json["end_of_sequence"] = kEndOfSequence;
  json["documents_from"] = options.split_lines ? "lines" : "files";
  json["inputs"] = options.inputs;
  json["num_documents"] = made.num_documents;
  json["num_tokens"] = made.num_tokens;
  json["num_empty"] = made.num_empty;
  json["max_token"] = max_token;
  json["bin_xxh3"] = made.bin_xxh3;
  json["idx_xxh3"] = made.idx_xxh3;
  return json.dump(2, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
}

void sync_directory_of(const std::string& path) {
  const int fd = ::open(fs::absolute(path).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

Result<Prepared> prepare(const PrepareOptions& options) {
  auto inputs = list_inputs(options.inputs);
  if (!inputs) return inputs.error();
  std::error_code error;
  fs::create_directories(fs::absolute(options.prefix).parent_path(), error);
  if (error) return Error{Code::kUnavailable, "cannot make the directory of " + options.prefix + ": " + error.message()};

  NewFile bin(options.prefix + ".bin"), idx(options.prefix + ".idx"), json(options.prefix + ".json");
  for (NewFile* file : {&bin, &idx, &json})
    if (auto created = file->create(); !created) return created.error();

  std::int64_t total = 0, done = 0, reported = 0;
  for (const Input& input : *inputs) total += input.bytes;
  ByteTokens tokens(bin, options.split_lines);
  const auto progress = [&](std::int64_t bytes) {
    done += bytes;
    if (options.progress && done - reported >= (4 << 20)) options.progress(reported = done, total);
  };
  for (const Input& input : *inputs)
    if (auto read = read_input(input, tokens, progress); !read) return read.error();
  if (tokens.num_tokens == 0) return Error{Code::kBadInput, "the inputs hold no text"};

  const std::string index = encode_index(tokens.lengths);
  Xxh3 index_checksum;
  index_checksum.add(index.data(), index.size());
  Prepared made{static_cast<std::int64_t>(tokens.lengths.size()), tokens.num_tokens, tokens.num_empty, tokens.checksum.hex(), index_checksum.hex()};
  const std::string record = record_json(options, made, tokens.max_token);
  if (auto written = idx.write(index.data(), index.size()); !written) return written.error();
  if (auto written = json.write(record.data(), record.size()); !written) return written.error();
  for (NewFile* file : {&bin, &idx, &json})
    if (auto synced = file->sync(); !synced) return synced.error();
  for (NewFile* file : {&bin, &idx, &json})  // the record last: until then a reader finds the checksums of the old one broken
    if (auto published = file->publish(); !published) return published.error();
  sync_directory_of(options.prefix);
  return made;
}

}  // namespace regroup
