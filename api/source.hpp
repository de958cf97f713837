// source.hpp: one prepared set of a job, and its share.
#pragma once

#include <string>

namespace regroup {

struct DataSource {
  std::string prefix;  // absolute path of PREFIX.bin / PREFIX.idx
  double weight = 1;   // above 0; shares are weight / sum of weights
  friend bool operator==(const DataSource&, const DataSource&) = default;
};

}  // namespace regroup
