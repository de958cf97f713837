#include "moe/data/prepare/train_tokenizer.hpp"

#include "moe/data/mapped_file.hpp"
#include "moe/data/prepare/model_file.hpp"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <filesystem>
#include <thread>
#include <unordered_map>

namespace regroup {
namespace {

constexpr std::size_t kLongestLine = 4000;  // SentencePiece leaves out what is longer than 4192 bytes

// Keeps `capacity` lines, each with the same chance (Vitter's algorithm R with numbers that depend on the line's number
// alone).
class Sample {
 public:
  explicit Sample(std::int64_t capacity) : capacity_(static_cast<std::size_t>(capacity)) {}
  void add(std::string_view text) {
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      add_line(text.substr(0, end));
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
  }
  std::vector<std::string> take() {
    std::sort(lines_.begin(), lines_.end());
    std::vector<std::string> lines;
    for (auto& [number, line] : lines_) lines.push_back(std::move(line));
    return lines;
  }
  [[nodiscard]] std::int64_t seen() const { return static_cast<std::int64_t>(seen_); }

 private:
  void add_line(std::string_view line) {
    while (line.size() > kLongestLine) {
      std::size_t end = line.rfind(' ', kLongestLine);
      if (end == std::string_view::npos || end == 0) {
        end = kLongestLine;
        while (end > 1 && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) --end;
      }
      keep(line.substr(0, end));
      line.remove_prefix(end);
    }
    if (!line.empty()) keep(line);
  }
  void keep(std::string_view line) {
    const std::uint64_t number = seen_++;
    if (lines_.size() < capacity_) {
      lines_.emplace_back(number, line);
      return;
    }
    const std::uint64_t place = mix(number) % seen_;
    if (place < capacity_) lines_[place] = {number, std::string(line)};
  }
  static std::uint64_t mix(std::uint64_t x) {  // SplitMix64
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
  }
  std::size_t capacity_;
  std::uint64_t seen_ = 0;
  std::vector<std::pair<std::uint64_t, std::string>> lines_;
};

class Lines final : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(const std::vector<std::string>& lines) : lines_(lines) {}
  [[nodiscard]] bool done() const override { return at_ >= lines_.size(); }
  void Next() override { ++at_; }
  [[nodiscard]] const std::string& value() const override { return lines_[at_]; }
  [[nodiscard]] sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::vector<std::string>& lines_;
  std::size_t at_ = 0;
};

// A text must not be lost to the model.
Result<void> refuse_other_file(const std::string& out) {
  const auto file = MappedFile::open(out, true);
  if (!file) return file.error();
  if (!file->exists() || read_model_file({file->bytes().data(), file->bytes().size()})) return {};
  return Error{Code::kBadInput, out +
                                    " is there and is no SentencePiece model: it would be overwritten; choose another "
                                    "--out, or remove it"};
}

}  // namespace

Result<TrainedTokenizer> train_tokenizer(const TrainTokenizerOptions& options) {
  if (options.vocab_size < 300 || options.vocab_size > 1'000'000)
    return Error{Code::kBadInput, "the vocabulary must have 300 to 1000000 pieces (256 are bytes), not " +
                                      std::to_string(options.vocab_size)};
  if (options.max_lines < 1) return Error{Code::kBadInput, "at least one line must be learned from"};
  if (auto free = refuse_other_file(options.out); !free) return free.error();
  Sample sample(options.max_lines);
  PrepareOptions input = options.input;
  input.no_inputs.push_back(options.out);
  const auto read = for_each_text(input, [&](std::string_view text) {
    sample.add(text);
    return true;
  });
  if (!read) return read.error();
  const std::vector<std::string> lines = sample.take();
  if (lines.empty()) return Error{Code::kBadInput, "the inputs hold no text"};

  const int threads = options.input.threads > 0 ? options.input.threads
                                                : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const std::unordered_map<std::string, std::string> settings = {
      {"model_type", options.unigram ? "unigram" : "bpe"},
      {"vocab_size", std::to_string(options.vocab_size)},
      {"character_coverage", std::to_string(options.character_coverage)},
      {"byte_fallback", "true"},
      {"split_digits", "true"},
      {"allow_whitespace_only_pieces", "true"},
      {"normalization_rule_name", "identity"},
      {"remove_extra_whitespaces", "false"},
      {"num_threads", std::to_string(threads)},
      {"minloglevel", "3"},
  };
  Lines iterator(lines);
  std::string bytes;
  const auto trained = sentencepiece::SentencePieceTrainer::Train(settings, &iterator, &bytes);
  if (!trained.ok())
    return Error{Code::kBadInput, "SentencePiece cannot make " + std::to_string(options.vocab_size) +
                                      " pieces of this text: " + trained.ToString()};
  sentencepiece::SentencePieceProcessor processor;
  if (const auto loaded = processor.LoadFromSerializedProto(bytes); !loaded.ok())
    return Error{Code::kInternal, "SentencePiece made a model it cannot read: " + loaded.ToString()};

  std::error_code error;
  std::filesystem::create_directories(std::filesystem::absolute(options.out).parent_path(), error);
  if (error) return Error{Code::kUnavailable, "cannot make the directory of " + options.out + ": " + error.message()};
  NewFile file(options.out);
  if (auto created = file.create(); !created) return created.error();
  if (auto written = file.write(bytes.data(), bytes.size()); !written) return written.error();
  if (auto synced = file.sync(); !synced) return synced.error();
  if (auto published = file.publish(); !published) return published.error();
  sync_directory_of(options.out);
  return TrainedTokenizer{sample.seen(), static_cast<std::int64_t>(lines.size()), processor.GetPieceSize()};
}

}  // namespace regroup
