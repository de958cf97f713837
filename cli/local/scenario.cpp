#include "cli/local/scenario.hpp"

#include "cli/job/beside_file.hpp"
#include "cli/job/yaml_section.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>
#include <sstream>

namespace regroup::cli {
namespace {

ScenarioEvent read_event(YamlSection section) {
  ScenarioEvent event;
  section.require("at_step", event.at_step);
  if (event.at_step < 0) section.refuse("at_step", "must be at least 0");
  section.read("at_epoch", event.at_epoch);
  if (event.at_epoch < 0) section.refuse("at_epoch", "must be at least 0");
  if (!section.find("do")) section.refuse_missing("do");
  section.read_word("do", kDeedWords, event.deed);
  section.read("node", event.node);
  section.read("nodes", event.count);
  section.read("seconds", event.seconds);
  section.refuse_unknown();
  const bool counts = event.deed == Deed::kScale || event.deed == Deed::kRestartAll;
  const bool lasts = event.deed == Deed::kStopEtcd || event.deed == Deed::kFreezeEtcd;
  if (counts && event.count < 1) section.refuse("nodes", "must say how many, at least 1");
  if (!counts && event.count != 0) section.refuse("nodes", "means nothing for " + to_string(event.deed));
  if (lasts && event.seconds <= 0) section.refuse("seconds", "must say for how long");
  if (!lasts && event.seconds != 0) section.refuse("seconds", "means nothing for " + to_string(event.deed));
  return event;
}

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields;
  std::stringstream in(line);
  for (std::string field; std::getline(in, field, ',');) fields.push_back(field);
  return fields;
}

}  // namespace

Result<std::vector<ScenarioEvent>> load_events(const std::string& path) {
  try {
    const auto text = read_text(path);
    if (!text) return Error{Code::kNotFound, "cannot read the events file " + path};
    const YAML::Node yaml = only_document(path, *text);
    if (!yaml.IsSequence())
      return Error{Code::kBadInput,
                   path + ": must be a list of events such as `- {at_step: 20, do: kill-worker, node: node-2}`"};
    std::vector<ScenarioEvent> events;
    for (std::size_t i = 0; i < yaml.size(); ++i)
      events.push_back(read_event({path, "event " + std::to_string(i + 1), yaml[i]}));
    std::stable_sort(events.begin(), events.end(), [](const auto& a, const auto& b) { return a.at_step < b.at_step; });
    return events;
  } catch (const Refused& refused) {
    return Error{Code::kBadInput, refused.what};
  } catch (const YAML::Exception& error) {
    return Error{Code::kBadInput,
                 path + ":" + std::to_string(error.mark.line + 1) + ": this is not YAML: " + error.msg};
  }
}

Result<std::vector<TraceLine>> parse_trace(const std::string& text) {
  std::vector<TraceLine> trace;
  std::set<std::string> present;
  std::istringstream in(text);
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    const auto refuse = [&](const std::string& what) {
      return Error{Code::kBadInput, "line " + std::to_string(number) + " of the trace: " + what};
    };
    const auto fields = split(line);
    TraceLine entry;
    if (fields.size() < 3) return refuse("'" + line + "' is not milliseconds,add|remove,node");
    const auto [end, error] = std::from_chars(fields[0].data(), fields[0].data() + fields[0].size(), entry.at_ms);
    if (error != std::errc() || end != fields[0].data() + fields[0].size() || entry.at_ms < 0)
      return refuse("'" + fields[0] + "' is not a time in milliseconds");
    if (!trace.empty() && entry.at_ms < trace.back().at_ms) return refuse("its time is before that of the line above");
    if (fields[1] != "add" && fields[1] != "remove") return refuse("'" + fields[1] + "' must be add or remove");
    entry.add = fields[1] == "add";
    entry.nodes.assign(fields.begin() + 2, fields.end());
    for (const auto& node : entry.nodes) {
      if (node.empty()) return refuse("a node has no name");
      if (entry.add ? !present.insert(node).second : present.erase(node) == 0)
        return refuse(node + (entry.add ? " is there already" : " is not there"));
    }
    trace.push_back(std::move(entry));
  }
  if (trace.empty()) return Error{Code::kBadInput, "the trace is empty"};
  return trace;
}

TracePlay play_trace(const std::vector<TraceLine>& trace, int limit, double scale) {
  TracePlay play;
  std::vector<std::string> running, spares;  // in order of arrival
  const auto at = [&](std::int64_t ms) {
    return static_cast<std::int64_t>(static_cast<double>(ms - trace.front().at_ms) / scale);
  };
  const auto start = [&](const std::string& node, std::int64_t ms) {
    running.push_back(node);
    if (at(ms) == 0) {
      play.at_start.push_back(node);
    } else {
      play.events.push_back({.at_ms = at(ms), .deed = Deed::kJoin, .node = node});
    }
  };
  for (const TraceLine& line : trace) {
    for (const auto& node : line.nodes) {
      if (line.add) {
        spares.push_back(node);
      } else if (const auto found = std::find(running.begin(), running.end(), node); found != running.end()) {
        running.erase(found);
        play.events.push_back({.at_ms = at(line.at_ms), .deed = Deed::kKillNode, .node = node});
      } else {
        spares.erase(std::find(spares.begin(), spares.end(), node));
      }
    }
    // After all of a line's removals: they come at one time, and a spare that is itself removed must not step in.
    while (!spares.empty() && static_cast<int>(running.size()) < limit) {
      start(spares.front(), line.at_ms);
      spares.erase(spares.begin());
    }
  }
  return play;
}

}  // namespace regroup::cli
