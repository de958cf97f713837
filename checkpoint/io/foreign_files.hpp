// foreign_files.hpp: the safetensors files of a directory that transformers wrote: which tensor lies where. Headers are
// read, tensors are not. Private to checkpoint/io.
//
// Errors: those of weight_files.hpp, kBadInput (a file is missing, the index and the files contradict each other:
// names file, tensor, expected and found), kCorrupt (a header that is none, a file that was cut off), kUnavailable.
#pragma once

#include "base/result.hpp"
#include "checkpoint/core/safetensors_header.hpp"

#include <map>
#include <string>
#include <vector>

namespace regroup::checkpoint {

struct ForeignFile {
  std::string path;
  SafetensorsHeader header;
};

struct StoredTensor {
  int file = 0;
  std::int64_t offset = 0;  // in the file
  std::string dtype;
  std::vector<std::int64_t> shape;
};

struct ForeignFiles {
  std::vector<ForeignFile> files;
  std::map<std::string, StoredTensor> tensors;
};

Result<ForeignFiles> open_foreign_files(const std::string& directory);

}  // namespace regroup::checkpoint
