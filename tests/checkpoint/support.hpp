// support.hpp: small models, states whose every value says where it belongs, and a directory that goes away.
#pragma once

#include "checkpoint/core/file_plan.hpp"
#include "checkpoint/io/reader.hpp"
#include "checkpoint/io/save.hpp"
#include "tests/support/tiny_job.hpp"

#include <cstddef>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

namespace regroup::checkpoint {

using regroup::testing::tiny_shape;

// Odd sizes, tied or not, different every time; always valid.
ModelShape random_shape(std::mt19937_64& random);

class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// [unit] three arrays of padded_numel() floats; padding is 0.
using State = std::vector<std::vector<float>>;
State make_state(const ModelShape& shape, std::uint64_t seed);

// Shares of the whole state for `num_parts` owners: dense units cut at random block borders, experts mostly whole.
struct Share {
  std::vector<PartEntry> entries;
  std::vector<std::vector<std::byte>> memory;
};
std::vector<Share> cut_state(const ModelShape& shape, const State& state, int num_parts, std::mt19937_64& random);

CheckpointInfo info_of(const ModelShape& shape, std::int64_t step, std::uint64_t epoch);
SaveRequest request_of(const std::string& root, const CheckpointInfo& info, const std::vector<Share>& shares, int part);

// All parts on threads of their own, then the commit. Returns the directory.
std::string save(const std::string& root, const CheckpointInfo& info, const State& state, int num_parts,
                 std::uint64_t seed);

// Reads everything with `num_readers` readers, each its random share, and compares bit for bit. Returns the bytes read.
std::int64_t expect_equal(const std::string& directory, const State& state, int num_readers, std::uint64_t seed);

}  // namespace regroup::checkpoint
