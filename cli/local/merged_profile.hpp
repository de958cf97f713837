// merged_profile.hpp: the traces that the workers of a local run wrote (moe/state/trace.hpp), as one file.
#pragma once

#include "base/result.hpp"

#include <string>

namespace regroup::cli {

// Removes what an earlier run left in DIR.
void remove_profiles(const std::string& dir);

// DIR/<node>/profile/*.json -> DIR/profile.json. How many workers wrote one; 0: there is no file then. kCorrupt: one of
// them is no trace. kUnavailable: it cannot be written.
Result<int> merge_profiles(const std::string& dir);

}  // namespace regroup::cli
