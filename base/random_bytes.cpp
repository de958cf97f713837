#include "base/random_bytes.hpp"

#include "base/check.hpp"

#include <sys/random.h>

#include <cerrno>

namespace regroup {
namespace {

void fill(char* into, std::size_t count) {
  while (count > 0) {
    const ssize_t got = ::getrandom(into, count, 0);
    CHECK(got > 0 || errno == EINTR, "getrandom", errno);
    if (got <= 0) continue;
    into += got;
    count -= static_cast<std::size_t>(got);
  }
}

}  // namespace

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  fill(bytes.data(), count);
  return bytes;
}

std::uint64_t random_word() {
  std::uint64_t word = 0;
  fill(reinterpret_cast<char*>(&word), sizeof word);
  return word;
}

}  // namespace regroup
