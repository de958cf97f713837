#include "api/json_values.hpp"

namespace regroup {

using json::Field;
using json::Json;

Json to_value(const std::vector<Participant>& participants) {
  Json out = Json::array();
  for (const Participant& p : participants) {
    out.push_back({{"worker", to_string(p.worker)}, {"address", p.address}, {"agent_address", p.agent_address}});
  }
  return out;
}

std::vector<Participant> read_participants(const Field& in) {
  std::vector<Participant> out;
  for (const Field& item : in.items()) {
    out.push_back({item["worker"].worker(), item["address"].string(), item["agent_address"].string()});
  }
  return out;
}

Json to_value(const std::vector<Suspicion>& suspicions) {
  Json list = Json::array();
  for (const Suspicion& s : suspicions)
    list.push_back(
        {{"whom", to_string(s.whom)}, {"evidence", kEvidenceWords(s.evidence)}, {"seen_at_ms", s.seen_at_ms}});
  return list;
}

std::vector<Suspicion> read_suspicions(const Field& in) {
  std::vector<Suspicion> suspicions;
  for (const Field& s : in.items())
    suspicions.push_back({s["whom"].worker(), kEvidenceWords.find(s["evidence"].string()).value_or(Evidence::kEof),
                          s["seen_at_ms"].integer<std::int64_t>()});
  return suspicions;
}

Json to_value(const IntervalSet& blocks) {
  Json out = Json::array();
  for (const Interval& interval : blocks.intervals()) out.push_back({interval.lo, interval.hi});
  return out;
}

IntervalSet read_blocks(const Field& in) {
  IntervalSet out;
  for (const Field& pair : in.items()) {
    const auto ends = pair.items();
    if (ends.size() != 2) pair.fail("must be [lo, hi]");
    const Interval interval{ends[0].integer<int>(), ends[1].integer<int>()};
    if (interval.lo < 0 || interval.lo >= interval.hi) pair.fail("must be [lo, hi] with 0 <= lo < hi");
    out.add(interval);
  }
  return out;
}

Json to_value(const BadSteps& bad) { return {bad.total, bad.in_a_row}; }

BadSteps read_bad_steps(const Field& in) {
  const auto numbers = in.items(2);
  return {numbers[0].integer<std::int64_t>(), numbers[1].integer<std::int64_t>()};
}

std::vector<SnapshotEntry> read_entries(const Field& in) {
  std::vector<SnapshotEntry> out;
  for (const Field& entry : in.items()) {
    const auto n = entry.items(3);
    out.push_back({n[0].integer<int>(), {n[1].integer<int>(), n[2].integer<int>()}, 0});
  }
  return out;
}

}  // namespace regroup
