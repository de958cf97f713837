#include "base/log.hpp"

#include "base/guarded.hpp"
#include "base/now.hpp"
#include "base/repeats.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace regroup::log {
namespace {

spdlog::level::level_enum spd(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

void append_text(std::string& line, const std::string& text) {
  if (!text.empty() && text.find_first_of(" \"=\n") == std::string::npos) {
    line += text;
    return;
  }
  line += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') line += '\\';
    if (c == '\n') {
      line += "\\n";
    } else {
      line += c;
    }
  }
  line += '"';
}

// spdlog makes its registry at the first use. That use is in a static of ours, whose guard a thread checker can see: it
// cannot look into spdlog's library.
spdlog::logger* logger() {
  [[maybe_unused]] static const spdlog::logger* const first = spdlog::default_logger_raw();
  return spdlog::default_logger_raw();
}

std::string line_of(std::string_view event, std::initializer_list<Field> fields) {
  std::string line = "event=" + std::string(event);
  for (const Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    std::visit(
        [&](const auto& value) {
          using T = std::decay_t<decltype(value)>;
          if constexpr (std::is_same_v<T, std::string>) {
            append_text(line, value);
          } else {
            line += fmt::format("{}", value);
          }
        },
        field.value);
  }
  return line;
}

}  // namespace

Level level_of(std::string_view word) {
  if (word == "debug") return Level::kDebug;
  if (word == "warn") return Level::kWarn;
  return word == "error" ? Level::kError : Level::kInfo;
}

void start(std::string_view program, Level least, const std::string& path) {
  std::shared_ptr<spdlog::logger> made;
  if (path.empty()) {
    made = std::make_shared<spdlog::logger>(std::string(program), std::make_shared<spdlog::sinks::stderr_sink_mt>());
  } else {
    made = std::make_shared<spdlog::logger>(std::string(program),
                                            std::make_shared<spdlog::sinks::basic_file_sink_mt>(path));
  }
  made->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %n %v");
  made->set_level(spd(least));
  made->flush_on(spdlog::level::info);
  spdlog::set_default_logger(made);
}

void write(Level level, std::string_view event, std::initializer_list<Field> fields) {
  spdlog::logger* const out = logger();
  if (out == nullptr || !out->should_log(spd(level))) return;
  out->log(spd(level), line_of(event, fields));
}

void write_often(Level level, std::string_view event, std::initializer_list<Field> fields) {
  spdlog::logger* const out = logger();
  if (out == nullptr || !out->should_log(spd(level))) return;
  static Guarded<Repeats> repeats;
  std::string line = line_of(event, fields);
  const auto times = repeats.change([&](Repeats& of) { return of.times(line, Clock::now()); });
  if (!times) return;
  if (*times > 1) line += fmt::format(" times={}", *times);
  out->log(spd(level), line);
}

}  // namespace regroup::log
