#include "checkpoint/core/chain_json.hpp"

namespace regroup::checkpoint {

using json::Field;
using nlohmann::ordered_json;

ordered_json chain_json(const TermsChain& chain) {
  ordered_json out = ordered_json::array();
  for (const auto& [after, terms] : chain)
    out.push_back({{"after_step", after.value},
                   {"steps", terms.steps},
                   {"schedule_end", terms.schedule_end},
                   {"decay_steps", terms.decay_steps},
                   {"sample_order", terms.sample_order},
                   {"sums", terms.sums},
                   {"terms", terms.values}});
  return out;
}

TermsChain read_chain(const Field& in) {
  TermsChain chain;
  for (const Field& item : in.items()) {
    TermsInForce entry;
    entry.after = item["after_step"].id<Step>();
    if (!chain.empty() && entry.after < chain.back().after) item.fail("is out of order");
    entry.terms.steps = item["steps"].integer<std::int64_t>();
    entry.terms.schedule_end = item["schedule_end"].integer<std::int64_t>();
    entry.terms.decay_steps = item["decay_steps"].integer<std::int64_t>();
    entry.terms.sample_order = item["sample_order"].integer<int>();
    entry.terms.sums = item["sums"].integer<int>();
    for (const auto& [key, value] : item["terms"].members()) entry.terms.values[key] = value.string();
    chain.push_back(std::move(entry));
  }
  return chain;
}

}  // namespace regroup::checkpoint
