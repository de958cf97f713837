#include "mesh/peer_memory.hpp"

#include "base/random_bytes.hpp"

#include <sys/uio.h>

#include <atomic>
#include <cerrno>

namespace regroup::mesh {

int read_peer_memory(pid_t pid, std::uint64_t address, std::span<std::byte> into) {
  while (!into.empty()) {
    const iovec ours{into.data(), into.size()};
    const iovec theirs{reinterpret_cast<void*>(address), into.size()};
    const ssize_t n = ::process_vm_readv(pid, &ours, 1, &theirs, 1, 0);
    if (n < 0) return errno;
    if (n == 0) return EFAULT;
    address += static_cast<std::uint64_t>(n);
    into = into.subspan(static_cast<std::size_t>(n));
  }
  return 0;
}

std::uint64_t fresh_word() {
  static std::atomic<std::uint64_t> last{random_word()};
  const std::uint64_t word = ++last;
  return word != 0 ? word : ++last;
}

}  // namespace regroup::mesh
