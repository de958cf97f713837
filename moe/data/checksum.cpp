#include "moe/data/checksum.hpp"

#include "base/hex.hpp"

#include <xxhash.h>

namespace regroup {

struct Xxh3::State {
  XXH3_state_t* xxh = XXH3_createState();
  ~State() { XXH3_freeState(xxh); }
};

Xxh3::Xxh3() : state_(std::make_unique<State>()) { XXH3_64bits_reset(state_->xxh); }
Xxh3::Xxh3(const Xxh3& other) : state_(std::make_unique<State>()) { XXH3_copyState(state_->xxh, other.state_->xxh); }
Xxh3& Xxh3::operator=(const Xxh3& other) {
  XXH3_copyState(state_->xxh, other.state_->xxh);
  return *this;
}
Xxh3::~Xxh3() = default;
void Xxh3::add(const void* data, std::size_t size) { XXH3_64bits_update(state_->xxh, data, size); }

std::string Xxh3::hex() const { return to_hex(XXH3_64bits_digest(state_->xxh)); }

std::uint64_t xxh3(const void* data, std::size_t size) { return XXH3_64bits(data, size); }

}  // namespace regroup
