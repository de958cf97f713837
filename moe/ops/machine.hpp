// machine.hpp: what a worker settles about its process before the first operator, and what it says of it.
#pragma once

#include "moe/ops/weights.hpp"

#include <string>

namespace regroup::ops {

// Freed memory stays with the process (no trimming, no mmap per allocation): a step in steady state has no page faults.
// Call first in main.
void keep_freed_memory();

// One thread, no denormal flushing, as the promise of equal bits needs. Once in main, after keep_freed_memory.
void settle_arithmetic();

// Page faults of this process so far (minor + major).
std::int64_t page_faults();

// What must be equal for equal bits: LibTorch's version, CPU capability, threads, a digest of the job's own operators
// run on fixed inputs, and the numbers of api/orders.hpp. One line of text; a few milliseconds for small shapes (sizes
// are capped).
std::string fingerprint(const Dims& dims);

}  // namespace regroup::ops
