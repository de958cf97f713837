// stored_floats.hpp: the numbers of other people's files, as our floats. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace regroup::checkpoint {

// Bytes of one number of a safetensors dtype that is read; 0 for any other.
std::int64_t bytes_of(const std::string& dtype);

// `from` holds into.size() numbers of a dtype that is read, little-endian; widening is exact.
void widen(const std::string& dtype, const std::byte* from, std::span<float> into);

}  // namespace regroup::checkpoint
