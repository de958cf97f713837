#include "cli/local/journal_reader.hpp"

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>
#include <utility>

namespace regroup::cli {
namespace {

using nlohmann::json;

struct Fields {
  const json& object;
  [[nodiscard]] std::int64_t whole(const char* key) const {
    const auto found = object.find(key);
    return found != object.end() && found->is_number() ? found->get<std::int64_t>() : 0;
  }
  [[nodiscard]] double number(const char* key) const {
    const auto found = object.find(key);
    if (found == object.end()) return 0;
    // JSON has no NaN: null
    return found->is_number() ? found->get<double>() : std::numeric_limits<double>::quiet_NaN();
  }
  [[nodiscard]] std::string text(const char* key) const {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  }
  [[nodiscard]] bool yes(const char* key) const {
    const auto found = object.find(key);
    return found != object.end() && found->is_boolean() && found->get<bool>();
  }
};

}  // namespace

std::optional<JournalLine> parse_journal_line(const std::string& line) {
  const json object = json::parse(line, nullptr, false);
  if (!object.is_object()) return std::nullopt;
  const Fields f{object};
  JournalLine out;
  out.event = f.text("event");
  if (out.event.empty()) return std::nullopt;
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
  out.source = f.text("source");
  if (const auto members = object.find("members"); members != object.end() && members->is_array()) {
    for (const auto& member : *members)
      if (member.is_string()) out.members.push_back(member.get<std::string>());
    out.num_members = static_cast<int>(out.members.size());
  } else {
    out.num_members = static_cast<int>(f.whole("members"));
  }
  out.num_groups = static_cast<int>(f.whole("groups"));
  out.detected_at_ms = f.whole("detected_at_ms");
  out.decided_at_ms = f.whole("decided_at_ms");
  out.at_boundary = f.text("when") == "boundary";
  out.stop_ms = f.number("stop_ms");
  out.agree_ms = f.number("agree_ms");
  out.move_ms = f.number("move_ms");
  out.first_commit_ms = f.number("first_commit_ms");
  out.bytes_moved = f.whole("bytes_moved");
  out.bytes_from_own_agent = f.whole("bytes_from_own_agent");
  out.plan_seen_at_ms = f.whole("plan_seen_at_ms");
  out.pid = static_cast<int>(f.whole("pid"));
  out.signal = static_cast<int>(f.whole("signal"));
  out.status = static_cast<int>(f.whole("status"));
  out.asked = f.yes("asked");
  out.whom = f.text("whom");
  out.evidence = f.text("evidence");
  out.weights_sha256 = f.text("weights_sha256");
  out.text = f.text("text");
  return out;
}

FileTail::~FileTail() {
  if (fd_ >= 0) ::close(fd_);
}

FileTail::FileTail(FileTail&& other) noexcept
    : path_(std::move(other.path_)),
      rest_(std::move(other.rest_)),
      fd_(std::exchange(other.fd_, -1)),
      offset_(other.offset_) {}

bool FileTail::open() {
  struct stat now {};
  if (fd_ >= 0 && ::fstat(fd_, &now) == 0 && now.st_nlink > 0) return true;
  if (fd_ >= 0) {
    ::close(fd_);
    offset_ = 0;
    rest_.clear();
  }
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  return fd_ >= 0;
}

std::vector<std::string> FileTail::read_new_lines() {
  std::vector<std::string> lines;
  if (!open()) return lines;
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
  return lines;
}

}  // namespace regroup::cli
