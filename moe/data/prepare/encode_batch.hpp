// encode_batch.hpp: a batch of document parts -> tokens, with what is wrong in them. Pure; what the threads of
// `prepare` do.
#pragma once

#include "moe/data/prepare/documents.hpp"

#include <string>
#include <vector>

namespace regroup {

struct EncodedPart {
  int input = 0;
  std::int64_t line = 1;
  bool first = true, last = true;
  std::size_t num_tokens = 0;
  std::size_t text_bytes = 0;
  double split = 0;  // of a first part: the document's place in [0, 1), a hash of its first 512 KiB. On disk: frozen
  std::string problem;
  bool is_whole_input = false;  // the problem's
};

struct EncodedBatch {
  std::vector<std::int32_t> tokens;
  std::vector<EncodedPart> parts;
  std::vector<Note> notes;
  std::int64_t bytes_done = 0;
};

// What --skip-bad would do about a problem.
inline const char* skip_advice(bool is_whole_input) {
  return is_whole_input ? "; --skip-bad leaves the whole input out" : "; --skip-bad leaves such documents out";
}

struct EncodeOptions {
  std::string field;
  bool any_bytes = false;
};

// What a part says, after JSON and UTF-8 were checked: points into `batch` or `scratch`. Sets `problem` and `line`
// where it says nothing.
std::string_view text_of(const Batch& batch, const Part& part, const EncodeOptions& options, std::string& scratch,
                         std::string& problem, std::int64_t& line);

void encode_batch(const Batch& batch, const EncodeOptions& options, const Tokenizer& tokenizer, Encoder& encoder,
                  EncodedBatch& out);

}  // namespace regroup
