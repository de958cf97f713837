#include "cli/etcd/etcd_log.hpp"

#include "base/json_fields.hpp"

namespace regroup::cli {
namespace {

struct Said {
  int gravity = 0;
  std::string text;
};

int gravity_of(const std::string& level) {
  if (level == "fatal" || level == "panic" || level == "dpanic" || level == "C") return 4;
  if (level == "error" || level == "E") return 3;
  if (level == "warn" || level == "W") return 2;
  return 1;
}

// {"level":"fatal","msg":"...","error":"..."}
Said read_json(const json::Json& line) {
  const auto word = [&](const char* name) {
    const auto found = line.find(name);
    return found != line.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const std::string error = word("error");
  return {gravity_of(word("level")), word("msg") + (error.empty() ? "" : ": " + error)};
}

Said read_line(const std::string& line) {
  const auto json = json::parse_text(line);
  if (json && json->is_object()) return read_json(*json);
  if (line.starts_with("panic:")) return {4, line};
  // 2026-01-31 12:00:00.000000 C | etcdmain: ...
  const auto bar = line.find(" | ");
  if (bar != std::string::npos && bar >= 2 && line[bar - 2] == ' ')
    return {gravity_of(line.substr(bar - 1, 1)), line.substr(bar + 3)};
  return {0, line};
}

}  // namespace

std::string cause_in_log(std::istream& log) {
  Said gravest{-1, "nothing"};
  for (std::string line; std::getline(log, line);) {
    if (line.empty()) continue;
    Said said = read_line(line);
    if (said.gravity >= gravest.gravity) gravest = std::move(said);
  }
  return gravest.text.substr(0, 400);
}

}  // namespace regroup::cli
