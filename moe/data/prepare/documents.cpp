#include "moe/data/prepare/documents.hpp"

#include "moe/data/prepare/utf8.hpp"

#include <algorithm>
#include <string_view>

namespace regroup {
namespace {

constexpr std::size_t kPartBytes = 1 << 20;
constexpr std::size_t kLongestPart = 8 << 20;  // without a place to cut: then between two characters
constexpr std::size_t kLongestJsonLine = 64 << 20;

}  // namespace

DocumentReader::DocumentReader(std::vector<Input> inputs, TextFormat format, bool any_bytes, const Tokenizer& tokenizer,
                               const std::atomic<bool>& stop)
    : inputs_(std::move(inputs)), format_(format), any_bytes_(any_bytes), tokenizer_(tokenizer), stop_(stop) {}

Result<void> DocumentReader::open_next(Batch& batch) {
  const Input& input = inputs_[static_cast<std::size_t>(++input_)];
  auto source = ByteSource::open(input, stop_);
  if (!source) return source.error();
  source_ = std::move(*source);
  input_format_ = format_for(format_, input.path);
  buffer_.clear();
  at_ = 0;
  wanted_ = kPartBytes;
  at_end_ = within_ = discarding_ = any_taken_ = false;
  failure_.clear();
  line_ = 1;
  if (auto filled = fill(kFirstLookBytes); !filled) return filled;
  FirstLook look = look_at(buffer_, input.path, format_, any_bytes_);
  at_ = look.skip;
  if (!look.note.empty() && failure_.empty()) batch.notes.push_back({input_, std::move(look.note)});
  if (look.problem.empty() || !failure_.empty()) return {};
  buffer_.clear();
  at_ = 0;
  at_end_ = true;
  failure_ = std::move(look.problem);
  return {};
}

// At least `size` bytes from at_ on, unless the input ends before. Always the same bytes, however they arrive: where
// documents are cut must not depend on a pipe's mood.
Result<void> DocumentReader::fill(std::size_t size) {
  if (at_end_ || buffer_.size() - at_ >= size) return {};
  buffer_.erase(0, at_);
  at_ = 0;
  for (std::size_t step = 1 << 16; buffer_.size() < size && !at_end_; step *= 2) {  // most files are small
    const std::size_t have = buffer_.size(), more = std::min(step, size - have);
    buffer_.resize(have + more);
    auto n = source_->read(buffer_.data() + have, more);
    if (!n && n.error().code != Code::kCorrupt) return n.error();
    buffer_.resize(have + (n ? *n : 0));
    at_end_ = !n || *n == 0;  // a short read may be followed by an error
    if (!n) failure_ = n.error().context;
  }
  return {};
}

void DocumentReader::take(Batch& batch, std::size_t size, bool last) {
  Part part{batch.text.size(), size, input_, line_, !within_, last, input_format_ == TextFormat::kJsonl, {}, false};
  batch.text.append(buffer_, at_, size);
  if (input_format_ == TextFormat::kText)
    line_ += std::count(buffer_.begin() + static_cast<std::ptrdiff_t>(at_),
                        buffer_.begin() + static_cast<std::ptrdiff_t>(at_ + size), '\n');
  batch.parts.push_back(std::move(part));
  at_ += size;
  within_ = !last;
  any_taken_ = true;
}

void DocumentReader::lose(Batch& batch, const std::string& problem) {
  batch.parts.push_back(
      {batch.text.size(), 0, input_, line_, !within_, true, false, problem, !any_taken_ && line_ == 1});
  within_ = false;
}

// In the second half, so that the document's hash is made of its first part alone.
std::size_t DocumentReader::cut_of(std::size_t size) const {
  const std::size_t n = tokenizer_.cut({buffer_.data() + at_, size});
  return n >= size / 2 ? n : 0;
}

void DocumentReader::take_text(Batch& batch) {
  const std::size_t have = buffer_.size() - at_;
  if (have < wanted_) {  // the input's end
    if (failure_.empty()) {
      take(batch, have, true);
    } else {
      line_ += std::count(buffer_.begin() + static_cast<std::ptrdiff_t>(at_), buffer_.end(), '\n');
      at_ = buffer_.size();
    }
    return;
  }
  std::size_t size = cut_of(have);
  if (size == 0 && wanted_ < kLongestPart) {
    wanted_ *= 2;
    return;
  }
  if (size == 0) size = last_character_border({buffer_.data() + at_, have});
  take(batch, size, false);
  wanted_ = kPartBytes;
}

void DocumentReader::take_line(Batch& batch) {
  const std::string_view rest(buffer_.data() + at_, buffer_.size() - at_);
  const std::size_t end = rest.find('\n');
  if (end != std::string_view::npos || rest.size() < wanted_) {  // a whole line, or the last one without its break
    const bool has_break = end != std::string_view::npos;
    const std::size_t size = has_break ? end : rest.size();
    if (!has_break && !failure_.empty()) {  // cut off in the middle
      at_ = buffer_.size();
      return;
    }
    const bool is_windows = has_break && input_format_ == TextFormat::kLines && size > 0 && rest[size - 1] == '\r';
    if (discarding_) {
      at_ += size;
    } else if (has_break || size > 0 || within_) {
      take(batch, size - (is_windows ? 1 : 0), true);
      at_ += is_windows ? 1 : 0;
    }
    discarding_ = false;
    at_ += has_break ? 1 : 0;
    line_ += has_break ? 1 : 0;
    wanted_ = kPartBytes;
    return;
  }
  if (discarding_) {
    at_ = buffer_.size();
    return;
  }
  const bool json = input_format_ == TextFormat::kJsonl;
  if (json && wanted_ >= kLongestJsonLine) {
    lose(batch, "the line is longer than 64 MiB");
    discarding_ = true;
    at_ = buffer_.size();
    wanted_ = kPartBytes;
    return;
  }
  std::size_t size = json ? 0 : cut_of(rest.size());
  if (size == 0 && (json || wanted_ < kLongestPart)) {
    wanted_ *= 2;
    return;
  }
  if (size == 0) size = last_character_border(rest);
  take(batch, size, false);
  wanted_ = kPartBytes;
}

void DocumentReader::end_input(Batch& batch) {
  if (!failure_.empty()) lose(batch, failure_);
  bytes_of_earlier_ += source_->bytes_on_disk();
  source_.reset();
}

Result<bool> DocumentReader::next(Batch& batch) {
  batch.text.clear();
  batch.parts.clear();
  batch.notes.clear();
  while (batch.text.size() < kPartBytes) {
    if (!source_) {
      if (input_ + 1 >= static_cast<int>(inputs_.size())) break;
      if (auto opened = open_next(batch); !opened) return opened.error();
    }
    const bool has_line = input_format_ != TextFormat::kText && buffer_.find('\n', at_) != std::string::npos;
    if (!has_line)
      if (auto filled = fill(wanted_); !filled) return filled.error();
    if (input_format_ == TextFormat::kText) {
      const bool was_end = at_end_ && buffer_.size() - at_ < wanted_;
      take_text(batch);
      if (was_end) end_input(batch);
    } else if (at_end_ && at_ == buffer_.size()) {
      if (within_ && failure_.empty()) take(batch, 0, true);
      end_input(batch);
    } else {
      take_line(batch);
    }
  }
  batch.bytes_done = bytes_of_earlier_ + (source_ ? source_->bytes_on_disk() : 0);
  return !batch.parts.empty() || !batch.notes.empty();
}

}  // namespace regroup
