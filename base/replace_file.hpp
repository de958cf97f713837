// replace_file.hpp: writes a file beside its name and renames it, so that no reader sees half of it. Not for what must
// survive a power cut: nothing is synced (checkpoint/io/posix_file.hpp does that).
#pragma once

#include "base/result.hpp"

#include <string>

namespace regroup {

// kUnavailable, with the system's words: the old file, if there was one, is as it was.
Result<void> replace_file(const std::string& path, const std::string& text);

}  // namespace regroup
