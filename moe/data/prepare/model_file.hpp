// model_file.hpp: what we need of a SentencePiece .model (a protobuf message) beyond what the library tells. Pure.
//
// Read by hand: the library hides its message types. Field numbers: sentencepiece_model.proto.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace regroup {

struct ModelFile {
  struct Piece {
    std::string_view text;  // into the file's bytes
    int type = 1;           // 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte
  };
  std::vector<Piece> pieces;
  int model_type = 1;  // 1 unigram, 2 bpe, 3 word, 4 char
  bool byte_fallback = false;
  bool whitespace_is_suffix = false;
  bool has_normalization = false;  // rules that rewrite characters
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

// Nothing where the bytes are no such message.
std::optional<ModelFile> read_model_file(std::string_view bytes);

// Append to a model's bytes to switch its dummy prefix off: in protobuf a later occurrence of a message is merged into
// the earlier one.
inline constexpr std::string_view kNoDummyPrefix{"\x1a\x02\x18\x00", 4};

}  // namespace regroup
