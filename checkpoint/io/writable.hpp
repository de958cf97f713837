// writable.hpp: can checkpoints be written to a directory? Found out by writing, before anything is computed that would
// be lost. Blocking.
#pragma once

#include "base/result.hpp"

#include <string>

namespace regroup::checkpoint {

// Makes the directory where it is missing, writes a small file of a name of its own there, durable, renames it and
// takes it away again: all that a checkpoint asks of a file system but its size. Errors name the path and say errno's
// words.
Result<void> prove_writable(const std::string& directory);

}  // namespace regroup::checkpoint
