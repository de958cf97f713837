// wire.hpp: the frame that carries a piece of a message. Frozen: little-endian, 48 bytes, then `length` bytes of
// payload.
//
//   0 u32 magic "RGF1" | 4 u8 type | 5 zero x3 | 8 u64 epoch | 16 u64 tag | 24 u64 total | 32 u64 offset | 40 u32
//   length | 44 u32 zero
//
// data: bytes [offset, offset + length) of the message (epoch, tag) of `total` bytes; the pieces of one message come in
// order on one connection. beat: tag = the sender's progress counter, total = 1 while its main thread waits in the
// mesh; no payload.
//
// Between processes of one machine, on the bulk lane:
// reach: asks whether the receiver can read the sender's memory: epoch = the sender's pid, tag = an address where the
// word `total` lies. Answered by reachable, or not at all; no payload.
// offer: as data, but `length` bytes are to be fetched from the sender's memory; the payload is 24 bytes: u64 their
// address | u64 address of a seal | u64 seal.
//   The bytes count only if the seal is at its address still once they are read: a sender that takes its buffer back
//   breaks the seal first.
// taken: answers an offer, in their order, whatever became of it: it is not read any more; no payload. On the control
// lane, for the bulk lane may not be read just now.
#pragma once

#include <cstddef>
#include <cstdint>

namespace regroup::mesh {

enum class FrameType : std::uint8_t { kData = 1, kBeat = 2, kReach = 3, kReachable = 4, kOffer = 5, kTaken = 6 };

struct Frame {
  FrameType type = FrameType::kData;
  std::uint64_t epoch = 0;
  std::uint64_t tag = 0;
  std::uint64_t total = 0;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
};

inline constexpr std::size_t kFrameBytes = 48;

struct Offer {
  std::uint64_t address = 0, seal_address = 0, seal = 0;
};

inline constexpr std::size_t kOfferBytes = 24;

void encode_frame(const Frame& frame, std::byte* out);
// False when these 48 bytes are no frame: bad magic, type, or a piece that does not lie within its message.
bool decode_frame(const std::byte* in, Frame& frame);

void encode_offer(const Offer& offer, std::byte* out);
Offer decode_offer(const std::byte* in);

}  // namespace regroup::mesh
