// odd_ones_out.hpp: several members read one path, each on its own node: who has something else there than the others?
// Pure.
#pragma once

#include <string>
#include <vector>

namespace regroup {

// digests: [rank] of what lies there; empty: nothing that can be read. Gives the one that counts: what most have, and
// of equally many what the lowest rank has. Empty: more have nothing than any one thing.
std::string common_digest(const std::vector<std::string>& digests);

}  // namespace regroup
