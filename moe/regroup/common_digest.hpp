// common_digest.hpp: several members read one path, each on its own node: what lies there as a rule? Who has something
// else is the odd one. Pure.
#pragma once

#include <string>
#include <vector>

namespace regroup {

// digests: [rank] of what lies there; empty: nothing. Gives what counts: what most of those have that have something,
// and of equally many what the lowest rank has. Empty: nobody has anything. One that has something counts more than all
// that have nothing, because nobody begins anew where there is progress.
std::string common_digest(const std::vector<std::string>& digests);

}  // namespace regroup
