// index_file.hpp: the .idx of Megatron's indexed data sets. On disk: frozen. Pure.
//
// "MMIDIDX\0\0", u64 version 1, u8 type, u64 sequences N, u64 documents D (one more than there are), i32 lengths[N],
// i64 byte offsets[N], i64 document_index[D]; little-endian.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace regroup {

struct IndexHeader {
  int token_bytes = 2;  // 2 (u16) or 4 (i32)
  std::int64_t num_sequences = 0;
  std::int64_t num_documents = 0;
  std::int64_t num_tokens = 0;
};

inline constexpr std::int64_t kIndexHeaderBytes = 34;

// What stands before the lengths, with one sequence a document.
std::string encode_index_header(int token_bytes, std::int64_t num_documents);

// Checks everything against a .bin of `bin_bytes`. kCorrupt: what is wrong, without the file's name.
Result<IndexHeader> decode_index(std::span<const char> bytes, std::int64_t bin_bytes);

// The token at which a document begins, of an index that decode_index took; num_tokens for document = num_documents.
std::int64_t document_begin(std::span<const char> bytes, const IndexHeader& header, std::int64_t document);

}  // namespace regroup
