// random_bytes.hpp: what nobody can guess, from the kernel: nonces, secrets, the incarnation of a process. Any thread.
//
// Numbers that must be the same on every machine come from random.hpp instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace regroup {

std::string random_bytes(std::size_t count);
std::uint64_t random_word();

}  // namespace regroup
