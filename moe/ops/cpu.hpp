// cpu.hpp: what this machine's processor can do, where it decides how something is computed. No ATen.
#pragma once

namespace regroup::ops {

// Registers of 16 floats, and bf16 products in hardware or close to it. Without, oneDNN makes none: LibTorch's own are
// a plain loop that rounds on its way (2.6 GFLOP/s).
inline bool has_avx512() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx512f");
  return has;
#else
  return false;
#endif
}

}  // namespace regroup::ops
