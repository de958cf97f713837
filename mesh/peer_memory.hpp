// peer_memory.hpp: the memory of a process on this machine, read without its help: one copy instead of two through a
// socket.
//
// The kernel decides who may (man process_vm_readv: same user, no ptrace restriction between the two, a pid that means
// the same to both). Any thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace regroup::mesh {

// 0, or errno: ESRCH and EFAULT when the process or that memory is gone.
int read_peer_memory(pid_t pid, std::uint64_t address, std::span<std::byte> into);

// A word that is nowhere else: whoever finds it at an address has found what it was put there for. Never 0.
std::uint64_t fresh_word();

}  // namespace regroup::mesh
