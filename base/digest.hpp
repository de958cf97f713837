// digest.hpp: SHA-256, and the digest of a model's weights (frozen: printed, stored in manifests, compared between
// runs). Any thread.
//
// A model's digest is the SHA-256 of its tensors' lines, sorted, each ended by '\n': "name F32 [2,3]
// sha256-hex-of-the-little-endian-bytes".
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace regroup {

// Bytes in pieces; finish() once.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(const void* data, std::size_t bytes);
  std::string finish();  // 64 hex digits

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(const void* data, std::size_t bytes);
inline std::string sha256_hex(std::string_view text) { return sha256_hex(text.data(), text.size()); }

// One tensor's line, from the hash of its bytes or from the fp32 elements themselves.
std::string tensor_line(std::string_view name, const std::vector<std::int64_t>& shape, std::string_view bytes_sha256);
std::string tensor_line(std::string_view name, const std::vector<std::int64_t>& shape, const float* data);

// Any order; a line per tensor, without '\n'.
std::string weights_digest(std::vector<std::string> lines);

}  // namespace regroup
