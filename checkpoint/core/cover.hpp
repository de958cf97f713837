// cover.hpp: whether what the parts of a save wrote is all of it, once. Pure.
#pragma once

#include "checkpoint/core/manifest.hpp"

#include <vector>

namespace regroup::checkpoint {

// kCorrupt unless the extents cover all data of all files, each byte once; names the file and the first byte that is
// missing or there twice.
Result<void> check_cover(const std::vector<ManifestFile>& files, const std::vector<Extent>& sorted_extents);

}  // namespace regroup::checkpoint
