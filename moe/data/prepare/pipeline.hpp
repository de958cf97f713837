// pipeline.hpp: one thread reads batches, several encode them, the caller gets them in order. At most a few batches a
// thread are in memory.
#pragma once

#include "moe/data/prepare/encode_batch.hpp"

#include <functional>

namespace regroup {

// `take` runs on the calling thread; its error stops everything. `stop` is the one the reader was made with.
Result<void> encode_in_order(DocumentReader& reader, std::atomic<bool>& stop, const Tokenizer& tokenizer,
                             const EncodeOptions& options, int threads,
                             const std::function<Result<void>(EncodedBatch&)>& take);

}  // namespace regroup
