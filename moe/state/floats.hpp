// floats.hpp: 64-byte aligned fp32 buffers and a pool that keeps them, so that a steady step allocates nothing large.
#pragma once

#include "base/check.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace regroup {

// Move-only. Contents are not initialised.
class Floats {
 public:
  Floats() = default;
  explicit Floats(std::int64_t size) : size_(size) {
    const std::size_t bytes = (static_cast<std::size_t>(size) * sizeof(float) + 63) / 64 * 64;
    data_ = static_cast<float*>(std::aligned_alloc(64, bytes == 0 ? 64 : bytes));
    REGROUP_CHECK(data_ != nullptr, "out of memory for", bytes, "bytes");
  }
  Floats(Floats&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Floats& operator=(Floats&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Floats() { std::free(data_); }

  [[nodiscard]] float* data() const { return data_; }
  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::span<float> span() const { return {data_, static_cast<std::size_t>(size_)}; }
  void zero() const { std::memset(data_, 0, static_cast<std::size_t>(size_) * sizeof(float)); }

 private:
  float* data_ = nullptr;
  std::int64_t size_ = 0;
};

// Buffers by exact size; give() keeps them for the next take(). One thread.
class FloatPool {
 public:
  Floats take(std::int64_t size) {
    auto& free = free_[size];
    if (free.empty()) return Floats(size);
    Floats floats = std::move(free.back());
    free.pop_back();
    return floats;
  }
  void give(Floats floats) {
    if (!floats.empty()) free_[floats.size()].push_back(std::move(floats));
  }
  void clear() { free_.clear(); }
  // Bytes of the buffers that were given back. Once all are: the most of each size taken at one time, since clear().
  [[nodiscard]] std::int64_t bytes() const {
    std::int64_t sum = 0;
    for (const auto& [size, free] : free_) sum += size * static_cast<std::int64_t>(sizeof(float) * free.size());
    return sum;
  }

 private:
  std::map<std::int64_t, std::vector<Floats>> free_;
};

inline std::span<const std::byte> bytes_of(const float* data, std::int64_t count) {
  return {reinterpret_cast<const std::byte*>(data), static_cast<std::size_t>(count) * sizeof(float)};
}
inline std::span<std::byte> writable_bytes(float* data, std::int64_t count) {
  return {reinterpret_cast<std::byte*>(data), static_cast<std::size_t>(count) * sizeof(float)};
}

}  // namespace regroup
