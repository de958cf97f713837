// documents.hpp: inputs -> batches of document parts, in order. One thread reads; what costs time (JSON, UTF-8, tokens)
// is done by whoever takes a batch.
#pragma once

#include "moe/data/prepare/byte_source.hpp"
#include "moe/data/prepare/first_look.hpp"
#include "moe/data/prepare/tokenizer.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace regroup {

// A document's part, in the order of the text. A document longer than about 1 MiB has several: cut where the tokenizer
// allows, at places that depend on the document only.
struct Part {
  std::size_t offset = 0, size = 0;  // in Batch::text
  int input = 0;
  std::int64_t line = 1;           // of its first byte
  bool first = true, last = true;  // of its document
  bool is_json = false;
  // why the document under way (or, if none is, the rest of the input) is lost; then size = 0 and last
  std::string problem;
  bool is_whole_input = false;  // the problem's: nothing of the input was taken
};

// What the owner of an input may not expect.
struct Note {
  int input = 0;
  std::string text;
};

struct Batch {
  std::string text;
  std::vector<Part> parts;
  std::vector<Note> notes;
  std::int64_t bytes_done = 0;  // of the inputs' bytes on disk, all batches so far
};

class DocumentReader {
 public:
  DocumentReader(std::vector<Input> inputs, TextFormat format, bool any_bytes, const Tokenizer& tokenizer,
                 const std::atomic<bool>& stop);
  // The next 1 MiB or so; false at the end. kBadInput, kUnavailable: an input cannot be read; what is merely broken in
  // it becomes a Part::problem.
  Result<bool> next(Batch& batch);

 private:
  Result<void> open_next(Batch& batch);
  Result<void> fill(std::size_t size);
  void take(Batch& batch, std::size_t size, bool last);
  void lose(Batch& batch, const std::string& problem);
  void take_text(Batch& batch);
  void take_line(Batch& batch);
  void end_input(Batch& batch);
  [[nodiscard]] std::size_t cut_of(std::size_t size) const;

  std::vector<Input> inputs_;
  TextFormat format_;
  bool any_bytes_;
  const Tokenizer& tokenizer_;
  const std::atomic<bool>& stop_;

  int input_ = -1;
  TextFormat input_format_ = TextFormat::kText;
  std::unique_ptr<ByteSource> source_;
  std::string buffer_;  // read, not yet taken: from at_ on
  std::size_t at_ = 0;
  std::size_t wanted_ = 0;   // of bytes in the buffer before anything is decided
  bool at_end_ = false;      // of the input
  std::string failure_;      // that ended it early
  bool within_ = false;      // a document
  bool any_taken_ = false;   // of the input
  bool discarding_ = false;  // the rest of a line that is too long
  std::int64_t line_ = 1;
  std::int64_t bytes_of_earlier_ = 0;
};

}  // namespace regroup
