// tokenizer.hpp: text -> token ids. Two kinds: bytes (here) and SentencePiece (sentencepiece_tokenizer.hpp).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace regroup {

inline constexpr std::int64_t kEndOfSequence = 256;  // of the tokenizer "bytes"; on disk: frozen

// What PREFIX.json says of it.
struct TokenizerRecord {
  std::string kind;  // "bytes" or "sentencepiece"
  std::string path;  // absolute; empty for bytes
  std::string xxh3;  // of the file
};

// One per thread: it may remember words.
class Encoder {
 public:
  virtual ~Encoder() = default;
  // Appends the tokens of one part of a document, without an end. `first`: the part begins the document. A document is
  // cut only where Tokenizer::cut says, so that its tokens are those of the whole.
  virtual void encode(std::string_view part, bool first, std::vector<std::int32_t>& tokens) = 0;
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  [[nodiscard]] virtual std::unique_ptr<Encoder> encoder() const = 0;
  // The largest n in (0, text.size()) such that text[0, n) and what follows may be encoded apart; 0 if there is none.
  // Always between two characters.
  [[nodiscard]] virtual std::size_t cut(std::string_view text) const = 0;
  [[nodiscard]] virtual std::int64_t vocab_size() const = 0;
  [[nodiscard]] virtual std::int32_t end_of_document() const = 0;
  [[nodiscard]] virtual TokenizerRecord record() const = 0;
  // What the tokens say; what is no text, such as an end, says nothing. Characters may be cut at both ends.
  [[nodiscard]] virtual std::string text_of(std::span<const std::int32_t> tokens) const = 0;
};

// Token = byte, kEndOfSequence ends a document.
std::unique_ptr<Tokenizer> byte_tokenizer();

}  // namespace regroup
