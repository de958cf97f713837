// peer_memory.hpp: reading the memory of another process of this machine: one copy where a socket takes two.
//
// The kernel decides who may (man process_vm_readv): the same user, no ptrace restriction between the two, and a pid
// that means the same process to both. Any thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace regroup::mesh {

// 0, or errno: ESRCH and EFAULT when the process or that memory is gone.
int read_peer_memory(pid_t pid, std::uint64_t address, std::span<std::byte> into);

// A random word, never 0 and never the same twice: whoever reads it at an address knows that this is the process, and
// the memory, for which it was made.
std::uint64_t fresh_word();

}  // namespace regroup::mesh
