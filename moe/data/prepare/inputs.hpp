// inputs.hpp: what of the file system a list of names means.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace regroup {

struct Input {
  std::string path;        // "-" is standard input
  std::int64_t bytes = 0;  // on disk; 0 = unknown
};

struct InputList {
  std::vector<Input> inputs;
  std::vector<std::string> left_out;      // paths of what is no input
  std::vector<std::string> not_followed;  // links to directories, in directories
  std::vector<std::string> no_files;      // pipes, sockets and devices, in directories
};

// Files, directories (every regular file below), globs and "-", in the order given; what a directory or a glob holds is
// sorted by path. Left out, by whatever name or link they are reached: the files `own` that the caller writes or reads
// otherwise, what an earlier run of it left beside them (FILE.tmp...), and in directories and globs the files of
// prepared data. kNotFound, kBadInput (also a link in a directory that leads nowhere, what may not be read, and a named
// pipe, which would be waited for; one that the shell hands over, /dev/fd/N, is read).
Result<InputList> list_inputs(const std::vector<std::string>& names, const std::vector<std::string>& own);

// Whether there are files of prepared data, or as much as tells that PREFIX was written by `prepare`.
bool is_prepared_data(const std::string& prefix);

}  // namespace regroup
