#include "base/digest.hpp"
#include "checkpoint/io/catalog.hpp"
#include "checkpoint/io/foreign_weights.hpp"
#include "tests/checkpoint/support.hpp"

#include <gtest/gtest.h>

#include <map>

namespace regroup::checkpoint {
namespace {

TEST(RoundTrip, what_four_wrote_three_read) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 12; ++round) {
    TempDir dir;
    const ModelShape shape = random_shape(random);
    CheckpointInfo info = info_of(shape, 100 + round, 3);
    if (round % 3 == 1) info.max_file_bytes = 300'000;  // several files
    const State state = make_state(shape, random());
    const std::string directory = save(dir.path(), info, state, 4, random());
    expect_equal(directory, state, 3, random());
    EXPECT_TRUE(verify_checkpoint(directory));
  }
}

// Long runs go past the page cache, their edges do not: every byte must be there, whichever way it went.
TEST(RoundTrip, long_runs_with_odd_edges) {
  TempDir dir;
  ModelShape shape = tiny_shape();
  shape.vocab_size = 20'011;
  shape.intermediate_size = 4'001;
  const State state = make_state(shape, 5);
  const std::string directory = save(dir.path(), info_of(shape, 1, 1), state, 4, 6);
  const std::int64_t bytes = expect_equal(directory, state, 3, 7);
  const auto plan = FilePlan::make(shape);
  EXPECT_GE(bytes, plan->state_bytes());
  // a small model: 64 KiB pieces at every cut weigh here
  EXPECT_LT(bytes, plan->state_bytes() + plan->state_bytes() / 4);
}

TEST(RoundTrip, slices_whose_rows_are_longer_than_a_piece_of_the_checksums) {
  TempDir dir;
  ModelShape shape = tiny_shape();
  shape.num_local_experts = 2;
  shape.num_hidden_layers = 1;
  shape.hidden_size = 64;
  shape.intermediate_size = 3 * 20'000;
  shape.expert_slices = 3;
  const State state = make_state(shape, 5);
  const std::string directory = save(dir.path(), info_of(shape, 1, 1), state, 4, 6);
  expect_equal(directory, state, 3, 7);
  EXPECT_TRUE(verify_checkpoint(directory));
}

TEST(RoundTrip, one_part_and_one_array) {
  TempDir dir;
  const ModelShape shape = tiny_shape();
  const State state = make_state(shape, 8);
  auto reader = CheckpointReader::open(save(dir.path(), info_of(shape, 1, 1), state, 1, 9));
  ASSERT_TRUE(reader);
  for (const Unit& unit : (*reader)->plan().units())
    for (int array = 0; array < kStateArrays; ++array) {
      std::vector<float> floats(static_cast<std::size_t>(unit.padded_numel()), 1.0F);
      ASSERT_TRUE((*reader)->read(unit.index, {0, kBlocksPerUnit}, static_cast<StateArray>(array), floats));
      const auto* expected = state[static_cast<std::size_t>(unit.index)].data() + array * unit.padded_numel();
      EXPECT_TRUE(std::equal(floats.begin(), floats.end(), expected));
    }
}

TEST(RoundTrip, the_digest_is_that_of_the_weights_whoever_wrote_them) {
  TempDir dir;
  for (const int slices : {1, 2, 4}) {
    ModelShape shape = tiny_shape();
    shape.expert_slices = slices;
    const State state = make_state(shape, 10);
    std::map<std::string, std::vector<float>> whole;
    std::map<std::string, std::vector<std::int64_t>> shapes;
    for (const Unit& unit : make_units(shape))
      for (const TensorSpec& tensor : unit.tensors) {
        shapes[tensor.name] = tensor.whole.shape;
        auto& values = whole[tensor.name];
        values.resize(static_cast<std::size_t>(tensor.numel * (unit.is_expert() ? slices : 1)));
        put_in_whole(tensor, state[static_cast<std::size_t>(unit.index)].data() + tensor.offset, values.data());
      }
    std::vector<std::string> lines;
    for (const auto& [name, values] : whole) lines.push_back(tensor_line(name, shapes[name], values.data()));
    const std::string expected = weights_digest(lines);
    CheckpointInfo info = info_of(shape, 1, static_cast<std::uint64_t>(10 * slices));
    EXPECT_EQ(digest_checkpoint(save(dir.path(), info, state, 4, 1)).value(), expected);
    info.epoch = Epoch{info.epoch.value + 1};
    info.max_file_bytes = 200'000;
    const std::string directory = save(dir.path(), info, state, 2, 2);
    EXPECT_EQ(digest_checkpoint(directory).value(), expected);
    // It is a model directory like any other: whatever number of slices is asked of it.
    for (const int wanted : {1, 3}) {
      shape.expert_slices = wanted;
      EXPECT_EQ((*ForeignWeights::open(directory, shape))->digest().value(), expected);
    }
  }
}

}  // namespace
}  // namespace regroup::checkpoint
