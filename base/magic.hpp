// magic.hpp: the first bytes by which files are known that lie where others are meant. Pure.
#pragma once

#include <string_view>

namespace regroup::magic {

inline constexpr std::string_view kGitLfsPointer = "version https://git-lfs.github.com/spec/";
inline constexpr std::string_view kZip = "PK\3\4";
inline constexpr std::string_view kGzip = "\x1f\x8b";
inline constexpr std::string_view kGguf = "GGUF";
inline constexpr std::string_view kPickles[] = {"\x80\2", "\x80\3", "\x80\4", "\x80\5"};  // protocols 2 to 5

}  // namespace regroup::magic
