// file_stream.hpp: one file of a checkpoint from its first data byte to its last, verified. One thread at a time.
//
// Errors: kCorrupt (names file and byte range), kUnavailable (I/O error), and what `take` returns.
#pragma once

#include "checkpoint/io/checked_files.hpp"

#include <functional>
#include <span>
#include <vector>

namespace regroup::checkpoint {

using TakeBytes = std::function<Result<void>(std::span<const std::byte>)>;

// All that lies behind the file's header. `extents`: of the manifest, all of them; check_cover has passed them. `files`
// must be made for reads of kBatchBytes and of the rows of every piece.
Result<void> stream_data(CheckedFiles& files, const std::vector<Extent>& extents, int file, const TakeBytes& take);

}  // namespace regroup::checkpoint
