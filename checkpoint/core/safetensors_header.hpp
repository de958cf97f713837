// safetensors_header.hpp: the first bytes of a safetensors file, written and parsed. Pure.
//
// File: u64 little-endian N, N bytes of JSON padded with spaces, data. https://github.com/huggingface/safetensors
// What we write: 8 + N is a multiple of 4096, data offsets follow the order given (see align_order), __metadata__ is
// {"format":"pt"}. What we accept is stricter than the reference reader: no duplicate keys, no padding but spaces, no
// unknown fields, no hole, no overlap, no trailing byte.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace regroup::checkpoint {

// files' data start on it, and so do all tensors whose size is a multiple of it
inline constexpr std::int64_t kFilePage = 4096;

struct FileTensor {
  std::string name;
  std::string dtype = "F32";
  std::vector<std::int64_t> shape;
  std::int64_t begin = 0;  // bytes from the start of the data
  std::int64_t end = 0;
  friend bool operator==(const FileTensor&, const FileTensor&) = default;
};

struct SafetensorsHeader {
  std::vector<FileTensor> tensors;  // ascending begin
  std::int64_t data_start = 0;      // bytes from the start of the file: 8 + N
  [[nodiscard]] std::int64_t file_bytes() const { return data_start + (tensors.empty() ? 0 : tensors.back().end); }
};

// Sets begin and end: tensors whose bytes are a multiple of kFilePage first, the others after them, each in the given
// order; sorts by begin.
void place_tensors(std::vector<FileTensor>& tensors);

// The bytes from 0 to the start of the data.
std::string write_safetensors_header(const std::vector<FileTensor>& placed);

// `bytes`: the start of a file of `file_bytes`, at least 8 + N long. kCorrupt: says what is wrong with it.
Result<SafetensorsHeader> parse_safetensors_header(std::string_view bytes, std::int64_t file_bytes);

// 8 + N from the file's first bytes; 8 do, with kStartBytes it is said what lies there instead. kCorrupt when it cannot
// be (over 100,000,000, or beyond the file).
inline constexpr std::int64_t kStartBytes = 64;
Result<std::int64_t> safetensors_data_start(std::string_view start, std::int64_t file_bytes);

}  // namespace regroup::checkpoint
