#include "coordinator/api/plan.hpp"

#include "coordinator/api/json_fields.hpp"

namespace regroup {
namespace {

using json::Field;
using json::Json;

constexpr json::Words<Origin, 2> kOriginWords{{"fresh", "resume"}};
constexpr json::Words<When, 2> kWhenWords{{"now", "boundary"}};

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

Json to_value(const Group& group) {
  Json ranks = Json::array();
  for (Rank rank : group.ranks) ranks.push_back(rank.value);
  Json dense = Json::array();
  for (const IntervalSet& blocks : group.dense_blocks) dense.push_back(json::to_value(blocks));
  return {{"ranks", std::move(ranks)},
          {"dense_blocks", std::move(dense)},
          {"expert_member", group.expert_member},
          {"first_chain", group.first_chain},
          {"end_chain", group.end_chain}};
}

Group read_group(const Field& in) {
  Group group;
  for (const Field& rank : in["ranks"].items()) group.ranks.push_back(rank.id<Rank>());
  for (const Field& blocks : in["dense_blocks"].items()) group.dense_blocks.push_back(blocks.blocks());
  for (const Field& member : in["expert_member"].items()) group.expert_member.push_back(member.integer<int>());
  group.first_chain = in["first_chain"].integer<int>();
  group.end_chain = in["end_chain"].integer<int>();
  return group;
}

Plan read_plan(const Field& in) {
  Plan plan;
  plan.epoch = in["epoch"].id<Epoch>();
  plan.parent = in["parent"].id<Epoch>();
  plan.job = in["job"].string();
  plan.origin = in["origin"].word(kOriginWords);
  plan.when = in["when"].word(kWhenWords);
  plan.cause = in["cause"].string();
  plan.reason = in["reason"].string();
  plan.members = read_participants(in["members"]);
  for (const Field& group : in["groups"].items()) plan.placement.groups.push_back(read_group(group));
  plan.donors = read_participants(in["donors"]);
  for (const Field& donor : in["snapshot_donors"].items()) {
    plan.snapshot_donors.push_back({donor["node"].id<NodeId>(), donor["agent_address"].string(), donor["through"].id<Rank>()});
  }
  if (const auto step = in.find("checkpoint_step")) plan.checkpoint_step = step->id<Step>();
  plan.checkpoint_path = in["checkpoint_path"].string();
  plan.detected_at_ms = in["detected_at_ms"].integer<std::int64_t>();
  plan.decided_at_ms = in["decided_at_ms"].integer<std::int64_t>();
  return plan;
}

}  // namespace

std::string to_json(const Plan& plan) {
  Json groups = Json::array();
  for (const Group& group : plan.placement.groups) groups.push_back(to_value(group));
  Json snapshot_donors = Json::array();
  for (const SnapshotDonor& donor : plan.snapshot_donors) {
    snapshot_donors.push_back({{"node", donor.node.value}, {"agent_address", donor.agent_address}, {"through", donor.through.value}});
  }
  const Json out = {{"epoch", plan.epoch.value},
                    {"parent", plan.parent.value},
                    {"job", plan.job},
                    {"origin", kOriginWords(plan.origin)},
                    {"when", kWhenWords(plan.when)},
                    {"cause", plan.cause},
                    {"reason", plan.reason},
                    {"members", to_value(plan.members)},
                    {"groups", std::move(groups)},
                    {"donors", to_value(plan.donors)},
                    {"snapshot_donors", std::move(snapshot_donors)},
                    {"checkpoint_step", plan.checkpoint_step ? Json(plan.checkpoint_step->value) : Json()},
                    {"checkpoint_path", plan.checkpoint_path},
                    {"detected_at_ms", plan.detected_at_ms},
                    {"decided_at_ms", plan.decided_at_ms}};
  return json::dump(out);
}

Result<Plan> plan_from_json(const std::string& text) { return json::read_json(text, "plan", read_plan); }

}  // namespace regroup
