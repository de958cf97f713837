#include "moe/data/prepare/byte_source.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

namespace regroup {
namespace {

constexpr std::size_t kReadBytes = 1 << 18;

Error corrupt(const std::string& what) { return {Code::kCorrupt, what}; }

class File {
 public:
  File(std::string path, int fd, const std::atomic<bool>& stop) : path_(std::move(path)), fd_(fd), stop_(stop) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { ::close(fd_); }

  // As many bytes as there are now; 0 = the end.
  Result<std::size_t> read(char* into, std::size_t size) {
    for (;;) {
      pollfd waiting{fd_, POLLIN, 0};
      const int ready = ::poll(&waiting, 1, 100);  // a pipe may never say more: look whether anybody still listens
      if (stop_) return Error{Code::kTimeout, "stopped"};
      if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
      const ssize_t n = ::read(fd_, into, size);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Error{Code::kUnavailable, "cannot read " + path_ + ": " + std::strerror(errno)};
      consumed += n;
      return static_cast<std::size_t>(n);
    }
  }
  std::int64_t consumed = 0;

 private:
  std::string path_;
  int fd_;
  const std::atomic<bool>& stop_;
};

class Plain final : public ByteSource {
 public:
  Plain(std::unique_ptr<File> file, std::string begin) : file_(std::move(file)), begin_(std::move(begin)) {}
  Result<std::size_t> read(char* into, std::size_t size) override {
    std::size_t have = std::min(size, begin_.size() - at_);
    std::memcpy(into, begin_.data() + at_, have);
    at_ += have;
    while (have < size) {
      auto n = file_->read(into + have, size - have);
      if (!n) return n;
      if (*n == 0) break;
      have += *n;
    }
    return have;
  }
  [[nodiscard]] std::int64_t bytes_on_disk() const override { return file_->consumed; }

 private:
  std::unique_ptr<File> file_;
  std::string begin_;
  std::size_t at_ = 0;
};

// What gzip and zstd share: packed bytes in, a pending error that waits until all good bytes are out.
class Packed : public ByteSource {
 public:
  Packed(std::unique_ptr<File> file, std::string begin) : packed_(std::move(begin)), file_(std::move(file)) {}
  Result<std::size_t> read(char* into, std::size_t size) override {
    std::size_t have = 0;
    while (have < size && !problem_ && !ended_) {
      if (at_ == packed_.size() && !more_) {
        packed_.resize(kReadBytes);
        auto n = file_->read(packed_.data(), packed_.size());
        if (!n) return n;
        packed_.resize(*n);
        at_ = 0;
        at_end_ = *n == 0;
      }
      if (at_end_) {
        ended_ = true;
        if (!between())
          problem_ = corrupt("the packed data ends in its middle after " + std::to_string(file_->consumed) +
                             " bytes: the file was cut");
        break;
      }
      const std::size_t room = size - have;
      const std::size_t n = unpack(into + have, room);
      more_ = n == room;  // it may hold more than there was room for
      have += n;
    }
    if (have == 0 && problem_) return *problem_;
    return have;
  }
  [[nodiscard]] std::int64_t bytes_on_disk() const override {
    return file_->consumed - static_cast<std::int64_t>(packed_.size() - at_);
  }

 protected:
  // Takes from packed_ at at_, puts at most `size` bytes; may set problem_.
  virtual std::size_t unpack(char* into, std::size_t size) = 0;
  [[nodiscard]] virtual bool between() const = 0;  // members: the input may end here
  void damaged(const std::string& why) {
    problem_ = corrupt("the packed data is damaged near byte " + std::to_string(bytes_on_disk()) + ": " + why);
  }
  std::string packed_;
  std::size_t at_ = 0;

 private:
  std::unique_ptr<File> file_;
  std::optional<Error> problem_;
  bool ended_ = false, at_end_ = false, more_ = false;
};

class Gzip final : public Packed {
 public:
  using Packed::Packed;
  bool start() { return ::inflateInit2(&stream_, 15 + 16) == Z_OK; }
  ~Gzip() override { ::inflateEnd(&stream_); }

 private:
  [[nodiscard]] bool between() const override { return between_; }
  std::size_t unpack(char* into, std::size_t size) override {
    if (between_ && at_ == packed_.size()) return 0;
    if (between_) {  // another member, or the zeros that tape blocks are filled with
      if (padding_ || packed_[at_] == 0) {
        padding_ = true;
        while (at_ < packed_.size() && packed_[at_] == 0) ++at_;
        if (at_ < packed_.size()) damaged("something follows the end");
        return 0;
      }
      ::inflateReset(&stream_);
      between_ = false;
    }
    stream_.next_in = reinterpret_cast<Bytef*>(packed_.data() + at_);
    stream_.avail_in = static_cast<uInt>(packed_.size() - at_);
    stream_.next_out = reinterpret_cast<Bytef*>(into);
    stream_.avail_out = static_cast<uInt>(std::min<std::size_t>(size, 1u << 30));
    const uInt room = stream_.avail_out;
    const int status = ::inflate(&stream_, Z_NO_FLUSH);
    at_ = packed_.size() - stream_.avail_in;
    if (status == Z_STREAM_END) {
      between_ = true;
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      damaged(stream_.msg != nullptr ? stream_.msg : "zlib says " + std::to_string(status));
    }
    return room - stream_.avail_out;
  }
  z_stream stream_{};
  bool between_ = false, padding_ = false;
};

class Zstd final : public Packed {
 public:
  using Packed::Packed;
  ~Zstd() override { ::ZSTD_freeDCtx(context_); }

 private:
  [[nodiscard]] bool between() const override { return between_; }
  std::size_t unpack(char* into, std::size_t size) override {
    if (between_ && at_ == packed_.size()) return 0;
    ZSTD_inBuffer in{packed_.data(), packed_.size(), at_};
    ZSTD_outBuffer out{into, size, 0};
    const std::size_t status = ::ZSTD_decompressStream(context_, &out, &in);
    at_ = in.pos;
    if (::ZSTD_isError(status) != 0) {
      damaged(::ZSTD_getErrorName(status));
      return out.pos;
    }
    between_ = status == 0;
    return out.pos;
  }
  ZSTD_DCtx* context_ = ::ZSTD_createDCtx();
  bool between_ = false;
};

bool begins_with(const std::string& text, std::string_view magic) { return text.compare(0, magic.size(), magic) == 0; }

}  // namespace

Result<std::unique_ptr<ByteSource>> ByteSource::open(const Input& input, const std::atomic<bool>& stop) {
  const int fd = input.path == "-" ? ::fcntl(0, F_DUPFD_CLOEXEC, 3) : ::open(input.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Error{Code::kBadInput, "cannot read " + input.path + ": " + std::strerror(errno)};
  auto file = std::make_unique<File>(input.path == "-" ? "standard input" : input.path, fd, stop);
  std::string begin(4, '\0');
  std::size_t have = 0;
  while (have < begin.size()) {
    auto n = file->read(begin.data() + have, begin.size() - have);
    if (!n) return n.error();
    if (*n == 0) break;
    have += *n;
  }
  begin.resize(have);
  if (begins_with(begin, "\x1f\x8b")) {
    auto gzip = std::make_unique<Gzip>(std::move(file), std::move(begin));
    if (!gzip->start()) return Error{Code::kUnavailable, "zlib cannot start"};
    return std::unique_ptr<ByteSource>(std::move(gzip));
  }
  if (begins_with(begin, "\x28\xb5\x2f\xfd"))
    return std::unique_ptr<ByteSource>(std::make_unique<Zstd>(std::move(file), std::move(begin)));
  return std::unique_ptr<ByteSource>(std::make_unique<Plain>(std::move(file), std::move(begin)));
}

}  // namespace regroup
