// raw_disk.hpp: what the disk does by itself, past the page cache: the measure of a save and a resume. Ends the program
// when a file cannot be read or written.
#pragma once

#include "base/result.hpp"
#include "checkpoint/core/file_plan.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <type_traits>
#include <utility>

namespace regroup::bench {

template <class T>
T value(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "bench-checkpoint: %s\n", to_string(result.error()).c_str());
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// Seconds to write a file of so many bytes in sequence until it is durable; it is removed again.
double raw_write(const std::string& path, std::int64_t bytes);
// Seconds to read all files of a checkpoint in sequence.
double raw_read(const std::string& directory, const checkpoint::FilePlan& plan);
// The next read of its files comes from the disk.
void forget_pages(const std::string& directory);

}  // namespace regroup::bench
