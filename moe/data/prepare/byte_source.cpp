#include "moe/data/prepare/byte_source.hpp"

#include "moe/data/prepare/codec.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

namespace regroup {
namespace {

constexpr std::size_t kReadBytes = 1 << 18;
constexpr int kMostPackings = 4;  // one in the other

Error corrupt(const std::string& what) { return {Code::kCorrupt, what}; }

class File final : public ByteSource {
 public:
  File(std::string path, int fd, const std::atomic<bool>& stop) : path_(std::move(path)), fd_(fd), stop_(stop) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() override { ::close(fd_); }

  Result<std::size_t> read(char* into, std::size_t size) override {
    std::size_t have = 0;
    while (have < size) {
      auto n = read_some(into + have, size - have);
      if (!n) return n;
      if (*n == 0) break;
      have += *n;
    }
    return have;
  }
  [[nodiscard]] std::int64_t bytes_on_disk() const override { return consumed_; }

 private:
  // As many bytes as there are now; 0 = the end.
  Result<std::size_t> read_some(char* into, std::size_t size) {
    for (;;) {
      pollfd waiting{fd_, POLLIN, 0};
      const int ready = ::poll(&waiting, 1, 100);  // a pipe may never say more: look whether anybody still listens
      if (stop_) return Error{Code::kTimeout, "stopped"};
      if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
      const ssize_t n = ::read(fd_, into, size);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Error{Code::kUnavailable, "cannot read " + path_ + ": " + std::strerror(errno)};
      consumed_ += n;
      return static_cast<std::size_t>(n);
    }
  }
  std::string path_;
  int fd_;
  const std::atomic<bool>& stop_;
  std::int64_t consumed_ = 0;
};

// Another source whose beginning was looked at, or that is not read beyond it because of what was seen.
class Begun final : public ByteSource {
 public:
  Begun(std::unique_ptr<ByteSource> rest, std::string begin, std::string refused)
      : rest_(std::move(rest)), begin_(std::move(begin)), refused_(std::move(refused)) {}
  Result<std::size_t> read(char* into, std::size_t size) override {
    if (!refused_.empty()) return corrupt(refused_);
    const std::size_t have = std::min(size, begin_.size() - at_);
    std::memcpy(into, begin_.data() + at_, have);
    at_ += have;
    if (have == size) return have;
    auto n = rest_->read(into + have, size - have);
    if (!n && have > 0 && n.error().code == Code::kCorrupt) return have;  // it says so again
    return n ? Result<std::size_t>(have + *n) : n;
  }
  [[nodiscard]] std::int64_t bytes_on_disk() const override { return rest_->bytes_on_disk(); }

 private:
  std::unique_ptr<ByteSource> rest_;
  std::string begin_, refused_;
  std::size_t at_ = 0;
};

// What is wrong waits until all good bytes are out.
class Unpacked final : public ByteSource {
 public:
  Unpacked(std::unique_ptr<ByteSource> packed, std::unique_ptr<Codec> codec)
      : source_(std::move(packed)), codec_(std::move(codec)) {}

  Result<std::size_t> read(char* into, std::size_t size) override {
    std::size_t have = 0;
    while (have < size && !problem_ && !ended_) {
      if (at_ == packed_.size() && !has_more_) {
        if (auto filled = fill(); !filled) return filled.error();
        continue;
      }
      if (between_ && skip_padding()) continue;
      const auto step = codec_->step({packed_.data() + at_, packed_.size() - at_}, {into + have, size - have});
      at_ += step.taken;
      have += step.made;
      between_ = step.ended;
      has_more_ = have == size && !step.ended;  // it may hold more than there was room for
      if (!step.problem.empty()) problem_ = damaged_here(step.problem);
    }
    if (have == 0 && problem_) return *problem_;
    return have;
  }
  [[nodiscard]] std::int64_t bytes_on_disk() const override { return source_->bytes_on_disk(); }

 private:
  Result<void> fill() {
    before_ += static_cast<std::int64_t>(packed_.size());
    packed_.resize(kReadBytes);
    at_ = 0;
    const auto n = source_->read(packed_.data(), packed_.size());
    packed_.resize(n ? *n : 0);
    if (!n && n.error().code != Code::kCorrupt) return n.error();
    if (!n) problem_ = n.error();
    ended_ = packed_.empty();
    if (ended_ && !between_ && !problem_)
      problem_ =
          corrupt("the packed data ends in its middle after " + std::to_string(before_) + " bytes: the file was cut");
    if (ended_ && !problem_) check_padding();
    return {};
  }
  // xz's stream padding, and the zeros behind the end that blocks of tapes are filled with. False: another stream
  // begins here.
  bool skip_padding() {
    for (; at_ < packed_.size() && packed_[at_] == 0; ++at_) ++padding_;
    if (at_ == packed_.size()) return true;
    check_padding();
    if (padding_ > 0 && codec_->padding_unit() == 0 && !problem_) problem_ = damaged_here("something follows the end");
    padding_ = 0;
    return problem_.has_value();
  }
  void check_padding() {
    if (codec_->padding_unit() > 0 && padding_ % codec_->padding_unit() != 0)
      problem_ = damaged_here(std::to_string(padding_) + " zeros follow a stream, which come in " +
                              std::to_string(codec_->padding_unit()) + "s");
  }
  [[nodiscard]] Error damaged_here(const std::string& how) const {
    return corrupt("the packed data is damaged near byte " + std::to_string(before_ + static_cast<std::int64_t>(at_)) +
                   ": " + how);
  }

  std::unique_ptr<ByteSource> source_;
  std::unique_ptr<Codec> codec_;
  std::string packed_;
  std::size_t at_ = 0;
  std::int64_t before_ = 0;  // packed bytes before packed_
  std::optional<Error> problem_;
  bool between_ = false;  // members: the input may end here
  bool ended_ = false, has_more_ = false;
  std::size_t padding_ = 0;  // zeros since the last stream
};

}  // namespace

Result<std::unique_ptr<ByteSource>> ByteSource::open(const Input& input, const std::atomic<bool>& stop) {
  const int fd = input.path == "-" ? ::fcntl(0, F_DUPFD_CLOEXEC, 3) : ::open(input.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Error{Code::kBadInput, "cannot read " + input.path + ": " + std::strerror(errno)};
  std::unique_ptr<ByteSource> source =
      std::make_unique<File>(input.path == "-" ? "standard input" : input.path, fd, stop);
  for (int packings = 0;; ++packings) {
    std::string begin(kFormatBytes, '\0');
    const auto have = source->read(begin.data(), begin.size());
    if (!have && have.error().code != Code::kCorrupt) return have.error();
    begin.resize(have ? *have : 0);
    KnownFormat known = format_of_bytes(begin);
    if (packings > 0 && !known.refused.empty()) known.refused.insert(0, "unpacked, ");
    if (packings == kMostPackings && known.packing != Packing::kNone)
      known = {Packing::kNone, "it was packed more than " + std::to_string(kMostPackings) + " times: unpack it first"};
    source = std::make_unique<Begun>(std::move(source), std::move(begin), std::move(known.refused));
    if (known.packing == Packing::kNone) return source;
    source = std::make_unique<Unpacked>(std::move(source), codec_of(known.packing));
  }
}

}  // namespace regroup
