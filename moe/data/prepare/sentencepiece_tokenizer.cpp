#include "moe/data/prepare/sentencepiece_tokenizer.hpp"

#include "moe/data/checksum.hpp"
#include "moe/data/prepare/model_file.hpp"
#include "moe/data/prepare/pair_borders.hpp"
#include "moe/data/prepare/utf8.hpp"

#include <sentencepiece_processor.h>
#include <xxhash.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace regroup {
namespace {

using sentencepiece::SentencePieceProcessor;

constexpr std::size_t kRememberedBytes = 48;        // of a chunk: longer ones hardly come twice
constexpr std::size_t kRememberedChunks = 1 << 18;  // then all is forgotten: about 20 MB a thread

// Chunk -> ids.
class Memory {
 public:
  struct Entry {
    std::uint64_t hash = 0;
    std::uint32_t text = 0, ids = 0;           // where they begin in texts_ and ids_
    std::uint16_t text_size = 0, num_ids = 0;  // num_ids 0 = free
  };
  Memory() : entries_(2 * kRememberedChunks) {}

  // The chunk's entry, or the free one where it belongs.
  Entry& find(std::string_view chunk) {
    const std::uint64_t hash = XXH3_64bits(chunk.data(), chunk.size());
    std::size_t slot = hash & (entries_.size() - 1);
    for (;; slot = (slot + 1) & (entries_.size() - 1)) {
      Entry& entry = entries_[slot];
      if (entry.num_ids == 0) {
        entry.hash = hash;
        return entry;
      }
      if (entry.hash == hash && entry.text_size == chunk.size() &&
          std::memcmp(texts_.data() + entry.text, chunk.data(), chunk.size()) == 0)
        return entry;
    }
  }
  void put(Entry& entry, std::string_view chunk, const std::vector<int>& ids) {
    if (count_ == kRememberedChunks) {
      const std::uint64_t hash = entry.hash;
      entries_.assign(entries_.size(), {});
      texts_.clear();
      ids_.clear();
      count_ = 0;
      Entry& first = entries_[hash & (entries_.size() - 1)];
      first.hash = hash;
      fill(first, chunk, ids);
      return;
    }
    fill(entry, chunk, ids);
  }
  [[nodiscard]] const std::int32_t* ids_of(const Entry& entry) const { return ids_.data() + entry.ids; }

 private:
  void fill(Entry& entry, std::string_view chunk, const std::vector<int>& ids) {
    entry.text = static_cast<std::uint32_t>(texts_.size());
    entry.text_size = static_cast<std::uint16_t>(chunk.size());
    entry.ids = static_cast<std::uint32_t>(ids_.size());
    entry.num_ids = static_cast<std::uint16_t>(ids.size());
    texts_.append(chunk);
    ids_.insert(ids_.end(), ids.begin(), ids.end());
    ++count_;
  }
  std::vector<Entry> entries_;
  std::string texts_;
  std::vector<std::int32_t> ids_;
  std::size_t count_ = 0;
};

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceProcessor whole, inner;  // as the model says; the same without its dummy prefix
  TokenizerRecord said;
  ModelFile model;
  std::optional<PairBorders> borders;  // where chunks may be encoded apart with the same ids; else documents go whole

  [[nodiscard]] std::unique_ptr<Encoder> encoder() const override;
  [[nodiscard]] std::size_t cut(std::string_view text) const override {
    // A run of unknown characters is one token: without byte fallback only a space surely ends it.
    if (borders) return borders->last(text, !model.byte_fallback);
    // Rules that rewrite text and scores that add up may look across any border. Before a line break or a space they do
    // so least; documents up to 1 MiB are never cut.
    for (const char c : {'\n', ' '})
      if (const auto at = text.rfind(c); at != std::string_view::npos && at > 0) return at;
    return last_character_border(text);
  }
  [[nodiscard]] std::int64_t vocab_size() const override { return whole.GetPieceSize(); }
  [[nodiscard]] std::int32_t end_of_document() const override { return whole.eos_id(); }
  [[nodiscard]] TokenizerRecord record() const override { return said; }
  [[nodiscard]] std::string text_of(std::span<const std::int32_t> tokens) const override {
    std::string text;
    std::vector<int> ids;
    std::copy_if(tokens.begin(), tokens.end(), std::back_inserter(ids),
                 [&](std::int32_t id) { return id >= 0 && id < whole.GetPieceSize(); });
    (void)whole.Decode(ids, &text);  // fails for ids beyond the vocabulary only
    return text;
  }
};

class WholeEncoder final : public Encoder {
 public:
  explicit WholeEncoder(const SentencePieceTokenizer& tokenizer) : tokenizer_(tokenizer) {}
  void encode(std::string_view part, bool first, std::vector<std::int32_t>& tokens) override {
    // A model that removes spaces at the ends puts one before what follows a cut, as it stood in the text.
    const auto& processor = first || tokenizer_.model.remove_extra_whitespaces ? tokenizer_.whole : tokenizer_.inner;
    (void)processor.Encode(part, &ids_);  // fails only for a processor without a model
    tokens.insert(tokens.end(), ids_.begin(), ids_.end());
  }

 private:
  const SentencePieceTokenizer& tokenizer_;
  std::vector<int> ids_;
};

class ChunkEncoder final : public Encoder {
 public:
  explicit ChunkEncoder(const SentencePieceTokenizer& tokenizer)
      : tokenizer_(tokenizer), unknown_(tokenizer.model.byte_fallback ? -1 : tokenizer.whole.unk_id()) {}
  void encode(std::string_view part, bool first, std::vector<std::int32_t>& tokens) override {
    begin_ = tokens.size();
    if (first && tokenizer_.model.add_dummy_prefix && !part.empty()) {
      prefixed_ = ' ';
      prefixed_ += part.substr(0, tokenizer_.borders->first(part));
      const std::size_t taken = prefixed_.size() - 1;
      const std::size_t border = tokenizer_.borders->first(prefixed_);  // perhaps right behind the prefix
      add(std::string_view(prefixed_).substr(0, border), tokens);
      if (border < prefixed_.size()) add(std::string_view(prefixed_).substr(border), tokens);
      part.remove_prefix(taken);
    }
    while (!part.empty()) {
      const std::size_t size = tokenizer_.borders->first(part);
      add(part.substr(0, size), tokens);
      part.remove_prefix(size);
    }
  }

 private:
  void add(std::string_view chunk, std::vector<std::int32_t>& tokens) {
    if (chunk.size() > kRememberedBytes) {
      (void)tokenizer_.inner.Encode(chunk, &ids_);
      append(ids_.data(), ids_.size(), tokens);
      return;
    }
    Memory::Entry& entry = memory_.find(chunk);
    if (entry.num_ids == 0) {
      (void)tokenizer_.inner.Encode(chunk, &ids_);
      append(ids_.data(), ids_.size(), tokens);
      if (!ids_.empty()) memory_.put(entry, chunk, ids_);
      return;
    }
    append(memory_.ids_of(entry), entry.num_ids, tokens);
  }
  void append(const std::int32_t* ids, std::size_t count, std::vector<std::int32_t>& tokens) const {
    // SentencePiece makes one token of neighbouring unknown characters.
    if (count > 0 && ids[0] == unknown_ && tokens.size() > begin_ && tokens.back() == unknown_) {
      ++ids;
      --count;
    }
    tokens.insert(tokens.end(), ids, ids + count);
  }

  const SentencePieceTokenizer& tokenizer_;
  std::int32_t unknown_;
  Memory memory_;
  std::vector<int> ids_;
  std::string prefixed_;
  std::size_t begin_ = 0;
};

std::unique_ptr<Encoder> SentencePieceTokenizer::encoder() const {
  if (borders) return std::make_unique<ChunkEncoder>(*this);
  return std::make_unique<WholeEncoder>(*this);
}

bool may_be_chunked(const ModelFile& model) {
  if (model.model_type != 2 || model.has_normalization || model.remove_extra_whitespaces || !model.escape_whitespaces ||
      model.whitespace_is_suffix)
    return false;
  bool has_space = false;
  for (const auto& piece : model.pieces) {
    if (piece.type == 4) return false;  // user defined pieces are matched before any merge
    has_space |= piece.type == 1 && piece.text == "\xe2\x96\x81";
  }
  return has_space;
}

Result<std::string> read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::error_code error;
  if (!in || std::filesystem::is_directory(path, error))
    return Error{Code::kNotFound, "cannot read the tokenizer " + path};
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> sentencepiece_tokenizer(const std::string& path, bool by_chunks) {
  auto bytes = read_bytes(path);
  if (!bytes) return bytes.error();
  auto tokenizer = std::make_shared<SentencePieceTokenizer>();
  const auto model = read_model_file(*bytes);
  if (!model)
    return Error{Code::kBadInput, path + " is not a SentencePiece model" +
                                      (path.ends_with(".json") ? ": it seems to be of Hugging Face's tokenizers, which "
                                                                 "are not read; docs/job-file.md#other-tokenizers "
                                                                 "makes data with it"
                                                               : "")};
  if (const auto loaded = tokenizer->whole.LoadFromSerializedProto(*bytes); !loaded.ok())
    return Error{Code::kBadInput, path + " is not a good SentencePiece model: " + loaded.ToString()};
  if (const auto loaded = tokenizer->inner.LoadFromSerializedProto(*bytes + std::string(kNoDummyPrefix)); !loaded.ok())
    return Error{Code::kBadInput, path + " is not a good SentencePiece model: " + loaded.ToString()};
  if (tokenizer->whole.eos_id() < 0)
    return Error{Code::kBadInput, path + " has no piece that ends a document (</s>, eos_id); train it with one"};
  tokenizer->model = *model;
  if (by_chunks && may_be_chunked(*model)) {
    std::vector<std::string_view> pieces;
    for (const auto& piece : model->pieces)
      if (piece.type == 1 || piece.type == 5) pieces.push_back(piece.text);
    tokenizer->borders.emplace(pieces);
  }
  tokenizer->model.pieces.clear();  // they point into `bytes`
  Xxh3 checksum;
  checksum.add(bytes->data(), bytes->size());
  tokenizer->said = {"sentencepiece", std::filesystem::absolute(path).lexically_normal().string(), checksum.hex()};
  return std::shared_ptr<const Tokenizer>(std::move(tokenizer));
}

}  // namespace regroup
