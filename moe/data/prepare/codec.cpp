#include "moe/data/prepare/codec.hpp"

#include "base/check.hpp"

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>

namespace regroup {
namespace {

constexpr std::size_t kAtOnce = std::size_t{1} << 30;  // zlib and bzip2 count in 32 bits

// zlib's, bzip2's and xz's streams have the same four fields, of other types.
template <class Stream, class Byte>
void point(Stream& stream, std::span<const char> packed, std::span<char> plain) {
  stream.next_in = reinterpret_cast<Byte*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<decltype(stream.avail_in)>(std::min(packed.size(), kAtOnce));
  stream.next_out = reinterpret_cast<std::remove_const_t<Byte>*>(plain.data());
  stream.avail_out = static_cast<decltype(stream.avail_out)>(std::min(plain.size(), kAtOnce));
}

template <class Stream>
Codec::Step moved(const Stream& stream, std::span<const char> packed, std::span<char> plain) {
  return {std::min(packed.size(), kAtOnce) - stream.avail_in, std::min(plain.size(), kAtOnce) - stream.avail_out};
}

class Gzip final : public Codec {
 public:
  Gzip() { CHECK(::inflateInit2(&stream_, 15 + 16) == Z_OK, "zlib cannot start"); }
  ~Gzip() override { ::inflateEnd(&stream_); }
  Step step(std::span<const char> packed, std::span<char> plain) override {
    point<z_stream, Bytef>(stream_, packed, plain);
    const int status = ::inflate(&stream_, Z_NO_FLUSH);
    Step step = moved(stream_, packed, plain);
    if (status == Z_STREAM_END) {
      step.ended = true;
      ::inflateReset(&stream_);
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      step.problem = stream_.msg != nullptr ? stream_.msg : "zlib says " + std::to_string(status);
    }
    return step;
  }

 private:
  z_stream stream_{};
};

class Zstd final : public Codec {
 public:
  // `zstd --long=31` asks for a window of 2 GiB; it is taken only where a file says so.
  Zstd() { ::ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, ::ZSTD_dParam_getBounds(kWindow).upperBound); }
  ~Zstd() override { ::ZSTD_freeDCtx(context_); }
  Step step(std::span<const char> packed, std::span<char> plain) override {
    ZSTD_inBuffer in{packed.data(), packed.size(), 0};
    ZSTD_outBuffer out{plain.data(), plain.size(), 0};
    const std::size_t status = ::ZSTD_decompressStream(context_, &out, &in);
    Step step{in.pos, out.pos};
    if (::ZSTD_isError(status) != 0) {
      step.problem = ::ZSTD_getErrorName(status);
    } else {
      step.ended = status == 0;
    }
    return step;
  }

 private:
  static constexpr ZSTD_dParameter kWindow = ZSTD_d_windowLogMax;
  ZSTD_DCtx* context_ = ::ZSTD_createDCtx();
};

class Xz final : public Codec {
 public:
  ~Xz() override { ::lzma_end(&stream_); }
  [[nodiscard]] std::size_t padding_unit() const override { return 4; }
  Step step(std::span<const char> packed, std::span<char> plain) override {
    if (!within_) within_ = ::lzma_stream_decoder(&stream_, UINT64_MAX, 0) == LZMA_OK;
    if (!within_) return {0, 0, false, "liblzma cannot start"};
    point<lzma_stream, const std::uint8_t>(stream_, packed, plain);
    const lzma_ret status = ::lzma_code(&stream_, LZMA_RUN);
    Step step = moved(stream_, packed, plain);
    if (status == LZMA_STREAM_END) {
      step.ended = true;
      within_ = false;
    } else if (status != LZMA_OK && status != LZMA_BUF_ERROR) {
      step.problem = word_of(status);
    }
    return step;
  }

 private:
  static std::string word_of(lzma_ret status) {
    switch (status) {
      case LZMA_FORMAT_ERROR:
        return "no beginning of an xz stream";
      case LZMA_OPTIONS_ERROR:
        return "packed in a way that this liblzma does not know";
      case LZMA_DATA_ERROR:
        return "a checksum is wrong";
      case LZMA_MEM_ERROR:
        return "there is not enough memory";
      default:
        return "liblzma says " + std::to_string(status);
    }
  }
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool within_ = false;
};

class Bzip2 final : public Codec {
 public:
  ~Bzip2() override { end(); }
  Step step(std::span<const char> packed, std::span<char> plain) override {
    if (!within_) within_ = ::BZ2_bzDecompressInit(&stream_, 0, 0) == BZ_OK;
    if (!within_) return {0, 0, false, "libbz2 cannot start"};
    point<bz_stream, char>(stream_, packed, plain);
    const int status = ::BZ2_bzDecompress(&stream_);
    Step step = moved(stream_, packed, plain);
    if (status == BZ_STREAM_END) {
      step.ended = true;
      end();
    } else if (status == BZ_DATA_ERROR || status == BZ_DATA_ERROR_MAGIC) {
      step.problem = status == BZ_DATA_ERROR ? "a checksum is wrong" : "no beginning of a bzip2 stream";
    } else if (status != BZ_OK) {
      step.problem = "libbz2 says " + std::to_string(status);
    }
    return step;
  }

 private:
  void end() {
    if (within_) ::BZ2_bzDecompressEnd(&stream_);
    stream_ = {};
    within_ = false;
  }
  bz_stream stream_{};
  bool within_ = false;
};

}  // namespace

std::unique_ptr<Codec> codec_of(Packing packing) {
  switch (packing) {
    case Packing::kGzip:
      return std::make_unique<Gzip>();
    case Packing::kZstd:
      return std::make_unique<Zstd>();
    case Packing::kXz:
      return std::make_unique<Xz>();
    case Packing::kBzip2:
      return std::make_unique<Bzip2>();
    case Packing::kNone:
      break;
  }
  CHECK(false, "plain bytes need no codec");
  return nullptr;
}

}  // namespace regroup
