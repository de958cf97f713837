// aligned_memory.hpp: memory that begins at a multiple of some page size, for files past the page cache.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>

namespace regroup::checkpoint {

struct Free {
  void operator()(std::byte* memory) const { std::free(memory); }
};
using AlignedMemory = std::unique_ptr<std::byte, Free>;

// `bytes` is a multiple of `alignment`. Null: there is not so much memory.
inline AlignedMemory aligned_memory(std::size_t alignment, std::size_t bytes) {
  return AlignedMemory(static_cast<std::byte*>(std::aligned_alloc(alignment, bytes)));
}

}  // namespace regroup::checkpoint
