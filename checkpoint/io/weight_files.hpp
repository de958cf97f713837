// weight_files.hpp: which files of a model's directory hold its weights, in transformers' order: model.safetensors,
// then model.safetensors.index.json with its shards. Private to checkpoint/io.
//
// Errors: kNotFound (none of them; says what lies there instead), kBadInput (an adapter beside them, an index that is
// none), kUnavailable.
#pragma once

#include "base/result.hpp"

#include <map>
#include <string>
#include <vector>

namespace regroup::checkpoint {

inline constexpr const char* kOneFileName = "model.safetensors";

using TensorFiles = std::map<std::string, std::string>;  // tensor -> file name

struct WeightFiles {
  bool indexed = false;
  TensorFiles index;               // where indexed
  std::vector<std::string> notes;  // weights beside them that are not read, one sentence each
};

Result<WeightFiles> choose_weight_files(const std::string& directory);

// Empty: a regular file is there. Else why not: "is missing", "is a link to X, which is not there".
std::string why_absent(const std::string& path);

}  // namespace regroup::checkpoint
