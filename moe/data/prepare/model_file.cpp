#include "moe/data/prepare/model_file.hpp"

namespace regroup {
namespace {

class Message {
 public:
  explicit Message(std::string_view bytes) : rest_(bytes) {}
  // The next field; false at the end or where it breaks off.
  bool next() {
    if (rest_.empty()) return false;
    const std::uint64_t key = varint();
    field = static_cast<int>(key >> 3);
    switch (key & 7) {
      case 0:
        number = varint();
        break;
      case 1:
        skip(8);
        break;
      case 2: {
        const std::uint64_t size = varint();
        if (size > rest_.size()) broken = true;
        text = broken ? std::string_view() : rest_.substr(0, size);
        skip(size);
        break;
      }
      case 5:
        skip(4);
        break;
      default:
        broken = true;
    }
    return !broken;
  }
  int field = 0;
  std::uint64_t number = 0;
  std::string_view text;
  bool broken = false;

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) break;
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= std::uint64_t{byte & 127u} << shift;
      if (byte < 128) return value;
    }
    broken = true;
    return 0;
  }
  void skip(std::uint64_t size) {
    if (size > rest_.size()) broken = true;
    rest_.remove_prefix(broken ? rest_.size() : size);
  }
  std::string_view rest_;
};

bool read_piece(std::string_view bytes, ModelFile& model) {
  Message message(bytes);
  ModelFile::Piece piece;
  while (message.next()) {
    if (message.field == 1) piece.text = message.text;
    if (message.field == 3) piece.type = static_cast<int>(message.number);
  }
  model.pieces.push_back(piece);
  return !message.broken;
}

bool read_trainer(std::string_view bytes, ModelFile& model) {
  Message message(bytes);
  while (message.next()) {
    if (message.field == 3) model.model_type = static_cast<int>(message.number);
    if (message.field == 24) model.whitespace_is_suffix = message.number != 0;
    if (message.field == 35) model.byte_fallback = message.number != 0;
  }
  return !message.broken;
}

bool read_normalizer(std::string_view bytes, ModelFile& model) {
  Message message(bytes);
  while (message.next()) {
    if (message.field == 2) model.has_normalization = !message.text.empty();
    if (message.field == 3) model.add_dummy_prefix = message.number != 0;
    if (message.field == 4) model.remove_extra_whitespaces = message.number != 0;
    if (message.field == 5) model.escape_whitespaces = message.number != 0;
  }
  return !message.broken;
}

}  // namespace

std::optional<ModelFile> read_model_file(std::string_view bytes) {
  ModelFile model;
  Message message(bytes);
  while (message.next()) {
    bool good = true;
    if (message.field == 1) good = read_piece(message.text, model);
    if (message.field == 2) good = read_trainer(message.text, model);
    if (message.field == 3) good = read_normalizer(message.text, model);
    if (!good) return std::nullopt;
  }
  if (message.broken || model.pieces.empty()) return std::nullopt;
  return model;
}

}  // namespace regroup
