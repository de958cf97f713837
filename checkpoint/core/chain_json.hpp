// chain_json.hpp: the chain of a manifest: which terms of the job were in force from which step on. Pure; any thread.
#pragma once

#include "base/json_fields.hpp"
#include "layout/job_terms.hpp"

namespace regroup::checkpoint {

nlohmann::ordered_json chain_json(const TermsChain& chain);

// Throws json::BadField, as every reader of fields.
TermsChain read_chain(const json::Field& in);

}  // namespace regroup::checkpoint
