// bytes_text.hpp: sizes as people read them. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace regroup {

std::string bytes_text(std::int64_t bytes);   // "1.5 MB": what is moved, read and written (powers of 1000)
std::string memory_text(std::int64_t bytes);  // "1.50 MiB": what memory must hold (powers of 1024)

}  // namespace regroup
