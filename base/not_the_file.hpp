// not_the_file.hpp: what lies in a file's place when a download, a checkout or another tool left something else. Pure.
#pragma once

#include <string>
#include <string_view>

namespace regroup {

// From a file's first bytes (64 are enough): "a Git LFS pointer in place of the file: ...", or empty for what is not
// known. A safetensors file counts as something else too: ask only where none is meant.
std::string not_the_file(std::string_view start);

}  // namespace regroup
