#include "api/plan.hpp"

#include "api/json_values.hpp"

#include <algorithm>

namespace regroup {
namespace {

using json::Field;
using json::Json;

constexpr Words<Origin, 2> kOriginWords{{"fresh", "resume"}};

bool keep_alike(const Group& a, const Group& b) {
  return a.expert_member == b.expert_member && a.dense_blocks == b.dense_blocks;
}

// What the members keep is long and the same in most groups, so it is written once for all groups that keep alike.
void write(const Placement& placement, Json& out) {
  Json groups = Json::array(), keeps = Json::array();
  std::vector<const Group*> written;
  for (const Group& group : placement.groups) {
    const auto alike =
        std::find_if(written.begin(), written.end(), [&](const Group* other) { return keep_alike(group, *other); });
    Json ranks = Json::array();
    for (Rank rank : group.ranks) ranks.push_back(rank.value);
    groups.push_back({{"ranks", std::move(ranks)},
                      {"keeps", alike - written.begin()},
                      {"first_chain", group.first_chain},
                      {"end_chain", group.end_chain}});
    if (alike != written.end()) continue;
    written.push_back(&group);
    Json dense = Json::array();
    for (const IntervalSet& blocks : group.dense_blocks) dense.push_back(to_value(blocks));
    keeps.push_back({{"dense_blocks", std::move(dense)}, {"expert_member", group.expert_member}});
  }
  out["groups"] = std::move(groups);
  out["keeps"] = std::move(keeps);
}

Placement read_placement(const Field& in) {
  std::vector<Group> keeps;
  for (const Field& item : in["keeps"].items()) {
    Group& group = keeps.emplace_back();
    for (const Field& blocks : item["dense_blocks"].items()) group.dense_blocks.push_back(read_blocks(blocks));
    group.expert_member = item["expert_member"].integers<int>();
  }
  Placement placement;
  for (const Field& item : in["groups"].items()) {
    const auto index = item["keeps"].integer<std::size_t>();
    if (index >= keeps.size()) item["keeps"].fail("is no position in keeps");
    Group group = keeps[index];
    for (const Field& rank : item["ranks"].items()) group.ranks.push_back(rank.id<Rank>());
    group.first_chain = item["first_chain"].integer<int>();
    group.end_chain = item["end_chain"].integer<int>();
    placement.groups.push_back(std::move(group));
  }
  return placement;
}

}  // namespace

bool any_on(const std::vector<Participant>& participants, const NodeId& node) {
  return std::any_of(participants.begin(), participants.end(),
                     [&](const Participant& participant) { return participant.worker.node == node; });
}

bool names_node(const Plan& plan, const NodeId& node) {
  return any_on(plan.members, node) || any_on(plan.donors, node) ||
         std::any_of(plan.snapshot_donors.begin(), plan.snapshot_donors.end(),
                     [&](const SnapshotDonor& donor) { return donor.node == node; });
}

Plan read_plan(const Field& in) {
  Plan plan;
  plan.epoch = in["epoch"].id<Epoch>();
  plan.parent = in["parent"].id<Epoch>();
  plan.job = in["job"].string();
  plan.origin = in["origin"].word(kOriginWords);
  plan.when = in["when"].word(kWhenWords);
  plan.ends = in["ends"].boolean();
  plan.cause = in["cause"].word(kCauseWords);
  plan.reason = in["reason"].string();
  plan.retries = in["retries"].integer<int>();
  plan.faults = in["faults"].integer<int>();
  plan.members = read_participants(in["members"]);
  plan.placement = read_placement(in);
  plan.donors = read_participants(in["donors"]);
  for (const Field& donor : in["snapshot_donors"].items()) {
    plan.snapshot_donors.push_back(
        {donor["node"].id<NodeId>(), donor["agent_address"].string(), donor["through"].id<Rank>()});
  }
  if (const auto step = in.find("checkpoint_step")) plan.checkpoint_step = step->id<Step>();
  plan.checkpoint_path = in["checkpoint_path"].string();
  plan.detected_at_ms = in["detected_at_ms"].integer<std::int64_t>();
  plan.decided_at_ms = in["decided_at_ms"].integer<std::int64_t>();
  return plan;
}

Json to_value(const Plan& plan) {
  Json snapshot_donors = Json::array();
  for (const SnapshotDonor& donor : plan.snapshot_donors) {
    snapshot_donors.push_back(
        {{"node", donor.node.value}, {"agent_address", donor.agent_address}, {"through", donor.through.value}});
  }
  Json out = {{"epoch", plan.epoch.value},
              {"parent", plan.parent.value},
              {"job", plan.job},
              {"origin", kOriginWords(plan.origin)},
              {"when", kWhenWords(plan.when)},
              {"ends", plan.ends},
              {"cause", kCauseWords(plan.cause)},
              {"reason", plan.reason},
              {"retries", plan.retries},
              {"faults", plan.faults},
              {"members", to_value(plan.members)},
              {"donors", to_value(plan.donors)},
              {"snapshot_donors", std::move(snapshot_donors)},
              {"checkpoint_step", plan.checkpoint_step ? Json(plan.checkpoint_step->value) : Json()},
              {"checkpoint_path", plan.checkpoint_path},
              {"detected_at_ms", plan.detected_at_ms},
              {"decided_at_ms", plan.decided_at_ms}};
  write(plan.placement, out);
  return out;
}

std::string to_json(const Plan& plan) { return json::dump(to_value(plan)); }

Result<Plan> plan_from_json(const std::string& text) { return json::read_json(text, "plan", read_plan); }

}  // namespace regroup
