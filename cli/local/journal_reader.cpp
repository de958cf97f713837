#include "cli/local/journal_reader.hpp"

#include "api/plan.hpp"
#include "base/json_fields.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace regroup::cli {
namespace {

using json::Field;

// A field that the line's event does not have keeps its default.
struct Fields {
  const Field& line;
  [[nodiscard]] std::int64_t whole(const char* key) const {
    const auto found = line.find(key);
    return found ? found->integer<std::int64_t>() : 0;
  }
  [[nodiscard]] double number(const char* key) const { return line.has(key) ? line[key].real_or_nan() : 0; }
  [[nodiscard]] std::string text(const char* key) const {
    const auto found = line.find(key);
    return found ? found->string() : std::string();
  }
  [[nodiscard]] bool yes(const char* key) const {
    const auto found = line.find(key);
    return found && found->boolean();
  }
};

JournalLine read_line(const Field& in) {
  const Fields f{in};
  JournalLine out;
  out.event = in["event"].word(kJournalEventWords);
  out.node = f.text("node");
  out.at_ms = f.whole("at_ms");
  out.worker = f.text("worker");
  out.epoch = Epoch(static_cast<std::uint64_t>(f.whole("epoch")));
  out.step = Step(f.whole("step"));
  out.loss = f.number("loss");
  out.aux_loss = f.number("aux_loss");
  out.z_loss = f.number("z_loss");
  out.seconds = f.number("seconds");
  out.tokens = f.whole("tokens");
  out.bad_steps = f.whole("bad_steps");
  out.bad_in_a_row = f.whole("bad_in_a_row");
  out.cause = kCauseWords.find(f.text("cause"));
  out.reason = f.text("reason");
  out.source = kStateSourceWords.find(f.text("source"));
  // Of a plan all members; of a regroup their number.
  if (const auto members = in.find("members"); members && members->raw().is_array()) {
    for (const Field& member : members->items()) out.members.push_back(member.string());
    out.num_members = static_cast<int>(out.members.size());
  } else {
    out.num_members = static_cast<int>(f.whole("members"));
  }
  out.num_groups = static_cast<int>(f.whole("groups"));
  out.detected_at_ms = f.whole("detected_at_ms");
  out.decided_at_ms = f.whole("decided_at_ms");
  out.at_boundary = kWhenWords.find(f.text("when")) == When::kBoundary;
  out.stop_ms = f.number("stop_ms");
  out.agree_ms = f.number("agree_ms");
  out.move_ms = f.number("move_ms");
  out.first_commit_ms = f.number("first_commit_ms");
  out.bytes_moved = f.whole("bytes_moved");
  out.bytes_from_own_agent = f.whole("bytes_from_own_agent");
  out.steps_lost = f.whole("steps_lost");
  out.plan_seen_at_ms = f.whole("plan_seen_at_ms");
  out.pid = static_cast<int>(f.whole("pid"));
  out.signal = static_cast<int>(f.whole("signal"));
  out.status = static_cast<int>(f.whole("status"));
  out.asked = f.yes("asked");
  out.whom = f.text("whom");
  out.evidence = kEvidenceWords.find(f.text("evidence"));
  out.weights_sha256 = f.text("weights_sha256");
  out.text = f.text("text");
  return out;
}

}  // namespace

std::optional<JournalLine> parse_journal_line(const std::string& line) {
  auto read = json::read_json(line, "journal", read_line);
  if (!read) return std::nullopt;
  return std::move(*read);
}

FileTail::~FileTail() {
  if (fd_ >= 0) ::close(fd_);
}

FileTail::FileTail(FileTail&& other) noexcept
    : path_(std::move(other.path_)),
      rest_(std::move(other.rest_)),
      fd_(std::exchange(other.fd_, -1)),
      offset_(other.offset_) {}

bool FileTail::another_one_is_there() const {
  struct stat ours {
  }, there{};
  return ::stat(path_.c_str(), &there) == 0 &&
         (fd_ < 0 || ::fstat(fd_, &ours) != 0 || ours.st_ino != there.st_ino || ours.st_dev != there.st_dev);
}

std::vector<std::string> FileTail::read_new_lines() {
  std::vector<std::string> lines;
  const bool another = another_one_is_there();  // looked at first: then nobody writes to ours any more
  if (fd_ >= 0) read_rest(lines);
  if (!another) return lines;
  if (fd_ >= 0) ::close(fd_);
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  offset_ = 0;
  rest_.clear();
  if (fd_ >= 0) read_rest(lines);
  return lines;
}

void FileTail::read_rest(std::vector<std::string>& lines) {
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::pread(fd_, buffer, sizeof buffer, offset_);
    if (n <= 0) break;
    offset_ += n;
    rest_.append(buffer, static_cast<std::size_t>(n));
  }
  std::size_t begin = 0;
  for (std::size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', begin)) {
    lines.push_back(rest_.substr(begin, end - begin));
    begin = end + 1;
  }
  rest_.erase(0, begin);
}

void Journals::follow(const std::string& path) {
  const auto [at, is_new] = tails_.try_emplace(path, path);
  if (is_new) at->second.read_new_lines();
}

std::vector<JournalLine> Journals::read_new_lines() {
  std::vector<JournalLine> lines;
  for (auto& [path, tail] : tails_)
    for (const auto& text : tail.read_new_lines())
      if (auto line = parse_journal_line(text)) lines.push_back(std::move(*line));
  std::stable_sort(lines.begin(), lines.end(), [](const auto& a, const auto& b) { return a.at_ms < b.at_ms; });
  return lines;
}

}  // namespace regroup::cli
