#include "mesh/wire.hpp"

#include <bit>
#include <cstring>

namespace regroup::mesh {
namespace {

static_assert(std::endian::native == std::endian::little, "the wire is little-endian and copied as it lies in memory");

constexpr std::uint32_t kMagic = 0x31464752;  // "RGF1"

template <class T>
void put(std::byte* out, std::size_t at, T value) {
  std::memcpy(out + at, &value, sizeof(value));
}

template <class T>
T get(const std::byte* in, std::size_t at) {
  T value;
  std::memcpy(&value, in + at, sizeof(value));
  return value;
}

}  // namespace

void encode_frame(const Frame& frame, std::byte* out) {
  put<std::uint32_t>(out, 0, kMagic);
  put<std::uint32_t>(out, 4, static_cast<std::uint32_t>(frame.type));
  put(out, 8, frame.epoch);
  put(out, 16, frame.tag);
  put(out, 24, frame.total);
  put(out, 32, frame.offset);
  put(out, 40, frame.length);
  put<std::uint32_t>(out, 44, 0);
}

bool decode_frame(const std::byte* in, Frame& frame) {
  const auto type = get<std::uint32_t>(in, 4);
  if (get<std::uint32_t>(in, 0) != kMagic || get<std::uint32_t>(in, 44) != 0) return false;
  if (type < static_cast<std::uint32_t>(FrameType::kData) || type > static_cast<std::uint32_t>(FrameType::kTaken))
    return false;
  frame.type = static_cast<FrameType>(type);
  frame.epoch = get<std::uint64_t>(in, 8);
  frame.tag = get<std::uint64_t>(in, 16);
  frame.total = get<std::uint64_t>(in, 24);
  frame.offset = get<std::uint64_t>(in, 32);
  frame.length = get<std::uint32_t>(in, 40);
  if (frame.type != FrameType::kData && frame.type != FrameType::kOffer) return frame.length == 0 && frame.offset == 0;
  if (frame.offset > frame.total || frame.length > frame.total - frame.offset) return false;
  return frame.length > 0 || (frame.total == 0 && frame.type == FrameType::kData);
}

void encode_offer(const Offer& offer, std::byte* out) {
  put(out, 0, offer.address);
  put(out, 8, offer.seal_address);
  put(out, 16, offer.seal);
}

Offer decode_offer(const std::byte* in) {
  return {get<std::uint64_t>(in, 0), get<std::uint64_t>(in, 8), get<std::uint64_t>(in, 16)};
}

}  // namespace regroup::mesh
