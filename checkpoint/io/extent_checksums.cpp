#include "checkpoint/io/extent_checksums.hpp"

#include <algorithm>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace regroup::checkpoint {

std::uint64_t checksum(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

struct ExtentChecksums::State {
  XXH3_state_t hash;
  std::int64_t piece = 0;  // bytes of a whole one
  std::int64_t left = 0;   // bytes to the end of the piece
  bool open = false;       // the piece has bytes
  std::vector<std::uint64_t> done;
};

ExtentChecksums::ExtentChecksums() : state_(std::make_unique<State>()) {}
ExtentChecksums::~ExtentChecksums() = default;

void ExtentChecksums::start(const Extent& extent) {
  state_->done.clear();
  state_->open = false;
  state_->piece = extent.piece_bytes();
  state_->left = state_->piece - extent.first() % state_->piece;
}

void ExtentChecksums::update(std::span<const std::byte> bytes) {
  State& s = *state_;
  while (!bytes.empty()) {
    const auto now = std::min<std::size_t>(bytes.size(), static_cast<std::size_t>(s.left));
    const bool ends_piece = static_cast<std::int64_t>(now) == s.left;
    if (!s.open && ends_piece) {
      s.done.push_back(XXH3_64bits(bytes.data(), now));  // a piece in one go: no state to keep
    } else {
      if (!s.open) XXH3_64bits_reset(&s.hash);
      XXH3_64bits_update(&s.hash, bytes.data(), now);
      s.open = !ends_piece;
      if (ends_piece) s.done.push_back(XXH3_64bits_digest(&s.hash));
    }
    s.left = ends_piece ? s.piece : s.left - static_cast<std::int64_t>(now);
    bytes = bytes.subspan(now);
  }
}

std::vector<std::uint64_t> ExtentChecksums::finish() {
  if (state_->open) state_->done.push_back(XXH3_64bits_digest(&state_->hash));
  state_->open = false;
  return std::move(state_->done);
}

}  // namespace regroup::checkpoint
