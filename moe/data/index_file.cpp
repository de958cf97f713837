#include "moe/data/index_file.hpp"

#include <cstring>
#include <iterator>

namespace regroup {
namespace {

constexpr char kMagic[9] = {'M', 'M', 'I', 'D', 'I', 'D', 'X', 0, 0};
constexpr std::uint8_t kTypeInt32 = 4;
constexpr std::uint8_t kTypeUint16 = 8;

template <class T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// The arrays are unaligned.
template <class T>
T load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

Error corrupt(const std::string& what) { return {Code::kCorrupt, what}; }

}  // namespace

std::string encode_index_header(int token_bytes, std::int64_t num_documents) {
  std::string out(kMagic, sizeof kMagic);
  append<std::uint64_t>(out, 1);
  append<std::uint8_t>(out, token_bytes == 2 ? kTypeUint16 : kTypeInt32);
  append<std::int64_t>(out, num_documents);
  append<std::int64_t>(out, num_documents + 1);
  return out;
}

namespace {

const char* name_of_type(std::uint8_t type) {
  constexpr const char* kNames[] = {"u8", "i8", "i16", "i32", "i64", "f64", "f32", "u16"};
  return type >= 1 && type <= std::size(kNames) ? kNames[type - 1] : "no type of Megatron's";
}

Result<void> read_lengths(IndexHeader& header, const char* lengths, const char* offsets, std::int64_t bin_bytes) {
  for (std::int64_t i = 0; i < header.num_sequences; ++i) {
    const auto length = load<std::int32_t>(lengths + i * 4);
    if (length < 0) return corrupt("sequence " + std::to_string(i) + " has the length " + std::to_string(length));
    const auto offset = load<std::int64_t>(offsets + i * 8);
    if (offset != header.num_tokens * header.token_bytes)
      return corrupt("sequence " + std::to_string(i) + " begins at byte " + std::to_string(offset) + ", expected " +
                     std::to_string(header.num_tokens * header.token_bytes));
    header.num_tokens += length;
    if (header.num_tokens * header.token_bytes > bin_bytes)
      return corrupt("sequence " + std::to_string(i) + " ends at byte " +
                     std::to_string(header.num_tokens * header.token_bytes) + ", but the .bin beside it has " +
                     std::to_string(bin_bytes) + ": one of them was cut or belongs to other data");
  }
  if (bin_bytes != header.num_tokens * header.token_bytes)
    return corrupt("it speaks of " + std::to_string(header.num_tokens) + " tokens, " +
                   std::to_string(header.num_tokens * header.token_bytes) + " bytes, but the .bin beside it has " +
                   std::to_string(bin_bytes) + ": one of them was cut or belongs to other data");
  return {};
}

Result<void> check_document_index(const char* document_index, std::int64_t entries, std::int64_t sequences) {
  std::int64_t previous = 0;
  for (std::int64_t i = 0; i < entries; ++i) {
    const auto first = load<std::int64_t>(document_index + i * 8);
    if ((i == 0 && first != 0) || first < previous || first > sequences)
      return corrupt("document " + std::to_string(i) + " begins at sequence " + std::to_string(first) + " of " +
                     std::to_string(sequences) + ", the one before it at " + std::to_string(previous));
    previous = first;
  }
  if (previous != sequences)
    return corrupt("its document index ends at sequence " + std::to_string(previous) + " of " +
                   std::to_string(sequences) +
                   ": where the documents behind begin is lost, as in what old versions of Megatron merged; "
                   "make it anew");
  return {};
}

}  // namespace

Result<IndexHeader> decode_index(std::span<const char> bytes, std::int64_t bin_bytes) {
  const auto size = static_cast<std::int64_t>(bytes.size());
  if (size < kIndexHeaderBytes)
    return corrupt("it has " + std::to_string(size) + " bytes, fewer than its header's 34: it was cut");
  if (std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0)
    return corrupt("it does not begin with MMIDIDX: it is not an index of tokens");
  const auto version = load<std::uint64_t>(bytes.data() + 9);
  if (version != 1) return corrupt("its version is " + std::to_string(version) + ", expected 1");
  const auto type = load<std::uint8_t>(bytes.data() + 17);
  if (type != kTypeUint16 && type != kTypeInt32)
    return corrupt("its token type is " + std::to_string(type) + " (" + name_of_type(type) +
                   "), expected 8 (u16) or 4 (i32)");
  const auto sequences = load<std::int64_t>(bytes.data() + 18);
  const auto documents = load<std::int64_t>(bytes.data() + 26);
  if (sequences < 0 || documents < 1 || sequences > size / 12 || documents > size / 8)
    return corrupt("it speaks of " + std::to_string(sequences) + " sequences and " + std::to_string(documents) +
                   " entries of the document index, which its " + std::to_string(size) +
                   " bytes cannot hold: it was cut or damaged");
  const std::int64_t needed = kIndexHeaderBytes + sequences * 12 + documents * 8;
  const bool has_modes = size == needed + sequences;  // an optional byte a sequence
  if (size != needed && !has_modes)
    return corrupt("it has " + std::to_string(size) + " bytes, its header asks for " + std::to_string(needed) +
                   ": it was cut or damaged");

  IndexHeader header;
  header.token_bytes = type == kTypeUint16 ? 2 : 4;
  header.num_sequences = sequences;
  header.num_documents = documents - 1;
  const char* lengths = bytes.data() + kIndexHeaderBytes;
  const char* offsets = lengths + sequences * 4;
  const char* document_index = offsets + sequences * 8;
  if (auto read = read_lengths(header, lengths, offsets, bin_bytes); !read) return read.error();
  if (auto good = check_document_index(document_index, documents, sequences); !good) return good.error();
  const char* modes = document_index + documents * 8;
  for (std::int64_t i = 0; has_modes && i < sequences; ++i)
    if (modes[i] != 0)
      return corrupt("sequence " + std::to_string(i) + " has the mode " + std::to_string(int{modes[i]}) +
                     ", expected 0: it holds no text");
  return header;
}

std::int64_t document_begin(std::span<const char> bytes, const IndexHeader& header, std::int64_t document) {
  const char* offsets = bytes.data() + kIndexHeaderBytes + header.num_sequences * 4;
  if (document >= header.num_documents) return header.num_tokens;
  const auto sequence = load<std::int64_t>(offsets + header.num_sequences * 8 + document * 8);
  return sequence < header.num_sequences ? load<std::int64_t>(offsets + sequence * 8) / header.token_bytes
                                         : header.num_tokens;
}

}  // namespace regroup
