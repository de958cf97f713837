// set_writer.hpp: PREFIX.bin, PREFIX.sums and PREFIX.idx as tokens come, document by document; PREFIX.json last. Memory
// does not grow with the set. One thread. Errors: kUnavailable (the disk's, or a file that was changed meanwhile); of
// append also kBadInput (a document longer than the format can say).
#pragma once

#include "base/result.hpp"
#include "moe/data/checksum.hpp"
#include "moe/data/prepare/new_file.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace regroup {

struct MadeSet {
  std::string prefix;
  std::int64_t num_documents = 0;
  std::int64_t num_tokens = 0;
  std::int64_t max_token = 0;
  std::string bin_xxh3, idx_xxh3, sums_xxh3;
};

class SetWriter {
 public:
  // u16 tokens where the vocabulary allows, else i32: as Megatron does.
  SetWriter(std::string prefix, std::int64_t vocab_size);

  Result<void> create();
  // A document: any number of appends, then end (with the token that ends it) or drop (as if it had never begun).
  Result<void> append(std::span<const std::int32_t> tokens);
  Result<void> end_document(std::int32_t end_token);
  Result<void> drop_document();
  [[nodiscard]] std::int64_t document_tokens() const { return document_tokens_; }  // of the one under way

  // Completes .bin, .sums and .idx. Then `commit` writes the record, syncs and renames: .json last; until then a reader
  // finds the old record's checksums broken.
  Result<MadeSet> finish();
  Result<void> commit(const std::string& record);

 private:
  Result<void> flush();
  Result<void> write_tokens(std::size_t first, std::size_t size);  // of buffer_
  Result<void> cut_tokens(std::int64_t size);
  Result<std::string> checksum_of(const NewFile& file) const;
  NewFile bin_, sums_, idx_, json_;
  int token_bytes_;
  Xxh3 checksum_;
  MadeSet made_;
  std::string buffer_;                 // of .bin, not yet written
  std::string unsummed_;               // the end of .bin, less than one piece of .sums
  std::vector<std::int32_t> lengths_;  // of .idx, not yet written
  std::size_t document_at_ = 0;        // where the document under way begins in buffer_
  std::int64_t document_tokens_ = 0;
  std::int32_t document_max_ = 0;
  struct Start {  // of a document that outgrew the buffer
    std::int64_t bin_size;
    Xxh3 checksum;
  };
  std::optional<Start> long_document_;
};

}  // namespace regroup
