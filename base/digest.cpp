#include "base/digest.hpp"

#include "base/check.hpp"
#include "base/hex.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <bit>

namespace regroup {

static_assert(std::endian::native == std::endian::little, "digests are over little-endian bytes");

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  CHECK(state_->context != nullptr && EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1,
        "OpenSSL has no SHA-256");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(const void* data, std::size_t bytes) { CHECK(EVP_DigestUpdate(state_->context, data, bytes) == 1); }

std::string Sha256::finish() {
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  CHECK(EVP_DigestFinal_ex(state_->context, hash, &size) == 1);
  return to_hex(std::string_view(reinterpret_cast<const char*>(hash), size));
}

std::string sha256_hex(const void* data, std::size_t bytes) {
  Sha256 hash;
  hash.update(data, bytes);
  return hash.finish();
}

std::string tensor_line(std::string_view name, const std::vector<std::int64_t>& shape, std::string_view bytes_sha256) {
  std::string line(name);
  line += " F32 [";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) line += ',';
    line += std::to_string(shape[i]);
  }
  line += "] ";
  line += bytes_sha256;
  return line;
}

std::string tensor_line(std::string_view name, const std::vector<std::int64_t>& shape, const float* data) {
  std::size_t numel = 1;
  for (const std::int64_t size : shape) numel *= static_cast<std::size_t>(size);
  return tensor_line(name, shape, std::string_view(sha256_hex(data, numel * sizeof(float))));
}

std::string weights_digest(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  Sha256 hash;
  for (const std::string& line : lines) {
    hash.update(line.data(), line.size());
    hash.update("\n", 1);
  }
  return hash.finish();
}

}  // namespace regroup
