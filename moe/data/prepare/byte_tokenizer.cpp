#include "moe/data/prepare/tokenizer.hpp"
#include "moe/data/prepare/utf8.hpp"

namespace regroup {
namespace {

class ByteEncoder final : public Encoder {
 public:
  void encode(std::string_view part, bool, std::vector<std::int32_t>& tokens) override {
    for (const char c : part) tokens.push_back(static_cast<unsigned char>(c));
  }
};

class ByteTokenizer final : public Tokenizer {
 public:
  [[nodiscard]] std::unique_ptr<Encoder> encoder() const override { return std::make_unique<ByteEncoder>(); }
  [[nodiscard]] std::size_t cut(std::string_view text) const override { return last_character_border(text); }
  [[nodiscard]] std::int64_t vocab_size() const override { return kEndOfSequence + 1; }
  [[nodiscard]] std::int32_t end_of_document() const override { return kEndOfSequence; }
  [[nodiscard]] TokenizerRecord record() const override { return {"bytes", "", ""}; }
  [[nodiscard]] std::string text_of(std::span<const std::int32_t> tokens) const override {
    std::string text;
    for (const std::int32_t token : tokens)
      if (token >= 0 && token < kEndOfSequence) text += static_cast<char>(token);
    return text;
  }
};

}  // namespace

std::unique_ptr<Tokenizer> byte_tokenizer() { return std::make_unique<ByteTokenizer>(); }

}  // namespace regroup
