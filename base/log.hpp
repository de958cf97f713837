// log.hpp: structured log lines: level, event=name, then key=value pairs in order. Any thread.
//
//   log::info("plan_published", {{"epoch", plan.epoch.value}, {"reason", decision.reason}});
//
// warn = someone may look, error = someone must. Knows nothing of fmt or spdlog, so that files with ATen may include
// it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace regroup::log {

enum class Level { kDebug, kInfo, kWarn, kError };
// As users name them: debug, info, warn, error; any other word is info.
Level level_of(std::string_view word);

struct Field {
  std::string_view key;
  std::variant<std::int64_t, std::uint64_t, double, bool, std::string> value;
  Field(std::string_view k, const char* v) : key(k), value(std::string(v)) {}
  Field(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  Field(std::string_view k, std::string_view v) : key(k), value(std::string(v)) {}
  Field(std::string_view k, bool v) : key(k), value(v) {}
  Field(std::string_view k, double v) : key(k), value(v) {}
  Field(std::string_view k, int v) : key(k), value(std::int64_t{v}) {}
  Field(std::string_view k, long v) : key(k), value(std::int64_t{v}) {}
  Field(std::string_view k, long long v) : key(k), value(static_cast<std::int64_t>(v)) {}
  Field(std::string_view k, unsigned v) : key(k), value(std::uint64_t{v}) {}
  Field(std::string_view k, unsigned long v) : key(k), value(std::uint64_t{v}) {}
  Field(std::string_view k, unsigned long long v) : key(k), value(static_cast<std::uint64_t>(v)) {}
};

// Once in main. `program` names the process in every line. `path` empty: stderr; else appended to that file.
void start(std::string_view program, Level least = Level::kInfo, const std::string& path = {});

void write(Level level, std::string_view event, std::initializer_list<Field> fields);
// What may come many times a second: the same line at most once in ten seconds, then with `times`, how often since.
void write_often(Level level, std::string_view event, std::initializer_list<Field> fields);
inline void debug(std::string_view event, std::initializer_list<Field> fields = {}) {
  write(Level::kDebug, event, fields);
}
inline void info(std::string_view event, std::initializer_list<Field> fields = {}) {
  write(Level::kInfo, event, fields);
}
inline void warn(std::string_view event, std::initializer_list<Field> fields = {}) {
  write(Level::kWarn, event, fields);
}
inline void info_often(std::string_view event, std::initializer_list<Field> fields) {
  write_often(Level::kInfo, event, fields);
}
inline void warn_often(std::string_view event, std::initializer_list<Field> fields) {
  write_often(Level::kWarn, event, fields);
}
inline void error(std::string_view event, std::initializer_list<Field> fields = {}) {
  write(Level::kError, event, fields);
}

}  // namespace regroup::log
