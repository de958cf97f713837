// checksum.hpp: xxh3 (64 bit) as 16 hex digits. Private to moe/data.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace regroup {

class Xxh3 {
 public:
  Xxh3();
  Xxh3(const Xxh3& other);
  Xxh3& operator=(const Xxh3& other);
  ~Xxh3();
  void add(const void* data, std::size_t size);
  [[nodiscard]] std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace regroup
