#include "tests/checkpoint/support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace regroup::checkpoint {

ModelShape random_shape(std::mt19937_64& random) {
  const auto pick = [&](std::int64_t lo, std::int64_t hi) {
    return std::uniform_int_distribution<std::int64_t>(lo, hi)(random);
  };
  ModelShape s = tiny_shape();
  s.vocab_size = pick(17, 700);
  s.num_key_value_heads = pick(1, 2);
  s.num_attention_heads = s.num_key_value_heads * pick(1, 3);
  s.head_dim = 2 * pick(2, 20);
  s.hidden_size = s.num_attention_heads * s.head_dim;
  s.expert_slices = static_cast<int>(pick(1, 4));
  s.intermediate_size = s.expert_slices * pick(5, 60);
  s.num_hidden_layers = pick(1, 3);
  s.num_local_experts = pick(1, 8);
  s.num_experts_per_tok = pick(1, s.num_local_experts);
  s.tie_word_embeddings = pick(0, 1) == 1;
  return s;
}

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "regroup-checkpoint-XXXXXX").string();
  path_ = ::mkdtemp(pattern.data());
}
TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

State make_state(const ModelShape& shape, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> value(-0.05F, 0.05F);
  State state;
  for (const Unit& unit : make_units(shape)) {
    const auto padded = static_cast<std::size_t>(unit.padded_numel());
    std::vector<float> arrays(padded * kStateArrays, 0.0F);
    for (std::size_t array = 0; array < kStateArrays; ++array)
      for (const TensorSpec& tensor : unit.tensors)
        for (std::int64_t i = 0; i < tensor.numel; ++i)
          arrays[array * padded + static_cast<std::size_t>(tensor.offset + i)] = value(random);
    state.push_back(std::move(arrays));
  }
  return state;
}

namespace {

// Blocks of every unit, split over `count` owners.
std::vector<std::vector<std::pair<int, Interval>>> split_blocks(const std::vector<Unit>& units, int count,
                                                                std::mt19937_64& random) {
  std::vector<std::vector<std::pair<int, Interval>>> owned(static_cast<std::size_t>(count));
  for (const Unit& unit : units) {
    // The format lets an expert be cut, though no plan does it: slices are, now and then.
    if (unit.is_expert() && (unit.slice == 0 || random() % 4 != 0)) {
      owned[random() % owned.size()].push_back({unit.index, {0, kBlocksPerUnit}});
      continue;
    }
    std::vector<int> cuts{0, kBlocksPerUnit};
    for (int i = 1; i < count; ++i) cuts.push_back(static_cast<int>(random() % (kBlocksPerUnit + 1)));
    std::sort(cuts.begin(), cuts.end());
    for (std::size_t i = 0; i + 1 < cuts.size(); ++i)
      if (cuts[i] < cuts[i + 1]) owned[i].push_back({unit.index, {cuts[i], cuts[i + 1]}});
  }
  return owned;
}

// Three arrays of these blocks, one after the other.
std::vector<std::byte> copy_blocks(const Unit& unit, const std::vector<float>& arrays, Interval blocks) {
  const auto floats = static_cast<std::size_t>(blocks.size() * unit.block_elements);
  std::vector<std::byte> bytes(floats * 4 * kStateArrays);
  for (std::size_t array = 0; array < kStateArrays; ++array)
    std::memcpy(bytes.data() + array * floats * 4,
                arrays.data() + array * static_cast<std::size_t>(unit.padded_numel()) + blocks.lo * unit.block_elements,
                floats * 4);
  return bytes;
}

}  // namespace

std::vector<Share> cut_state(const ModelShape& shape, const State& state, int num_parts, std::mt19937_64& random) {
  const auto units = make_units(shape);
  std::vector<Share> shares;
  for (const auto& owned : split_blocks(units, num_parts, random)) {
    Share share;
    for (const auto& [unit, blocks] : owned) {
      share.memory.push_back(
          copy_blocks(units[static_cast<std::size_t>(unit)], state[static_cast<std::size_t>(unit)], blocks));
      share.entries.push_back({unit, blocks, share.memory.back().data()});
    }
    shares.push_back(std::move(share));
  }
  return shares;
}

CheckpointInfo info_of(const ModelShape& shape, std::int64_t step, std::uint64_t epoch) {
  CheckpointInfo info;
  info.job = "test";
  info.epoch = Epoch{epoch};
  info.step = Step{step};
  info.seed = 7;
  info.shape = shape;
  info.fingerprint = "cpu";
  info.data_digest = "d";
  return info;
}

SaveRequest request_of(const std::string& root, const CheckpointInfo& info, const std::vector<Share>& shares,
                       int part) {
  return {root, info, part, static_cast<int>(shares.size()), shares[static_cast<std::size_t>(part)].entries, {}};
}

std::string save(const std::string& root, const CheckpointInfo& info, const State& state, int num_parts,
                 std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto shares = cut_state(info.shape, state, num_parts, random);
  const auto write = [&](int part) {
    auto written = write_part(request_of(root, info, shares, part));
    EXPECT_TRUE(written) << to_string(written.error());
  };
  std::vector<std::thread> writers;
  for (int part = 1; part < num_parts; ++part) writers.emplace_back(write, part);
  write(0);
  auto committed = commit(request_of(root, info, shares, 0), std::chrono::seconds(60));
  for (auto& writer : writers) writer.join();
  EXPECT_TRUE(committed) << to_string(committed.error());
  return committed ? committed->directory : std::string();
}

std::int64_t expect_equal(const std::string& directory, const State& state, int num_readers, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::int64_t bytes = 0;
  auto first = CheckpointReader::open(directory);
  if (!first) {
    ADD_FAILURE() << to_string(first.error());
    return 0;
  }
  const auto units = (*first)->plan().units();
  for (const auto& owned : split_blocks(units, num_readers, random)) {
    auto reader = CheckpointReader::open(directory);
    std::vector<std::vector<std::byte>> memory;
    std::vector<PartBuffer> buffers;
    for (const auto& [unit, blocks] : owned) {
      memory.emplace_back(static_cast<std::size_t>(
                              blocks.size() * units[static_cast<std::size_t>(unit)].block_elements * 4 * kStateArrays),
                          std::byte{0xff});
      buffers.push_back({unit, blocks, memory.back().data()});
    }
    auto read = (*reader)->read(buffers);
    EXPECT_TRUE(read) << to_string(read.error());
    for (std::size_t i = 0; read && i < buffers.size(); ++i) {
      const auto unit = static_cast<std::size_t>(buffers[i].unit);
      EXPECT_EQ(memory[i], copy_blocks(units[unit], state[unit], buffers[i].blocks)) << "unit " << unit;
    }
    bytes += (*reader)->bytes_read();
  }
  return bytes;
}

}  // namespace regroup::checkpoint
