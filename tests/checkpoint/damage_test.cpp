#include "checkpoint/io/catalog.hpp"
#include "tests/checkpoint/support.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace regroup::checkpoint {
namespace {

namespace fs = std::filesystem;

void flip_bit(const std::string& path, std::int64_t byte) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(byte);
  const char damaged = static_cast<char>(file.get() ^ 0x10);
  file.seekp(byte);
  file.put(damaged);
  ASSERT_TRUE(file.good()) << path;
}

// An older good checkpoint (step 1) and a newer one (step 2) to be damaged.
class Damage : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    shape_.expert_slices = GetParam();
    older_ = save(dir_.path(), info_of(shape_, 1, 1), make_state(shape_, 1), 2, 1);
    newer_state_ = make_state(shape_, 2);
    newer_ = save(dir_.path(), info_of(shape_, 2, 1), newer_state_, 3, 2);
  }
  // The damage is found by a full read and named; a search that is told of it takes the older one.
  void expect_found(const std::string& named_file) {
    auto verified = verify_checkpoint(newer_);
    ASSERT_FALSE(verified);
    EXPECT_EQ(verified.error().code, Code::kCorrupt) << to_string(verified.error());
    EXPECT_NE(verified.error().context.find(named_file), std::string::npos) << verified.error().context;
    CheckpointWanted wanted{"test", shape_, "d", {newer_}};
    auto found = find_newest_checkpoint(dir_.path(), wanted);
    ASSERT_TRUE(found) << to_string(found.error());
    EXPECT_EQ(found->path, older_);
    ASSERT_EQ(found->skipped.size(), 1U);
    EXPECT_NE(found->skipped[0].find(newer_), std::string::npos) << found->skipped[0];
  }
  std::vector<std::string> data_files() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(newer_))
      if (entry.path().extension() == ".safetensors") names.push_back(entry.path().filename().string());
    return names;
  }

  TempDir dir_;
  ModelShape shape_ = tiny_shape();
  State newer_state_;
  std::string older_, newer_;
};

INSTANTIATE_TEST_SUITE_P(Slices, Damage, ::testing::Values(1, 2), ::testing::PrintToStringParamName());

TEST_P(Damage, a_flipped_bit_anywhere_in_a_data_file_is_found_and_named) {
  std::mt19937_64 random(3);
  for (const std::string& name : data_files()) {
    const std::string path = newer_ + "/" + name;
    const auto size = static_cast<std::int64_t>(fs::file_size(path));
    std::vector<std::int64_t> bytes{0, 9, 4095, size - 1};  // length, JSON, padding of the header; last byte
    for (int i = 0; i < 4; ++i)
      bytes.push_back(4096 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(size - 4096)));
    for (const std::int64_t byte : bytes) {
      flip_bit(path, byte);
      expect_found(name);
      flip_bit(path, byte);
    }
  }
  EXPECT_TRUE(verify_checkpoint(newer_));
  expect_equal(newer_, newer_state_, 2, 4);
}

TEST_P(Damage, a_read_that_touches_the_damage_fails_and_one_that_does_not_succeeds) {
  const auto plan = FilePlan::make(shape_);
  const FileRange range = plan->ranges(1, {0, kBlocksPerUnit}, StateArray::kMaster).front();
  flip_bit(newer_ + "/" + plan->files()[static_cast<std::size_t>(range.file)].name, range.offset + 5);
  auto reader = CheckpointReader::open(newer_);
  ASSERT_TRUE(reader);
  std::vector<float> floats(static_cast<std::size_t>(plan->units()[1].padded_numel()));
  auto read = (*reader)->read(1, {0, kBlocksPerUnit}, StateArray::kMaster, floats);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::kCorrupt);
  EXPECT_NE(read.error().context.find("model-00001-of-00001.safetensors bytes ["), std::string::npos)
      << read.error().context;
  EXPECT_TRUE((*reader)->read(1, {0, kBlocksPerUnit}, StateArray::kSecondMoment, floats));
}

TEST_P(Damage, a_flipped_bit_anywhere_in_the_manifest_is_found) {
  const std::string path = newer_ + "/" + kManifestName;
  const auto size = static_cast<std::int64_t>(fs::file_size(path));
  for (std::int64_t byte = 0; byte < size; byte += 1 + size / 60) {
    flip_bit(path, byte);
    EXPECT_FALSE(CheckpointReader::open(newer_)) << "byte " << byte;
    flip_bit(path, byte);
  }
  flip_bit(path, size / 2);
  expect_found(kManifestName);
}

TEST_P(Damage, a_cut_file_a_longer_file_and_a_missing_file_are_found) {
  const auto names = data_files();
  const std::string path = newer_ + "/" + names.front();
  const auto size = fs::file_size(path);
  fs::resize_file(path, size - 1);
  expect_found(names.front());
  fs::resize_file(path, size + 1);
  expect_found(names.front());
  fs::remove(path);
  expect_found(names.front());
}

TEST_P(Damage, a_cut_manifest_is_found) {
  const std::string path = newer_ + "/" + kManifestName;
  fs::resize_file(path, fs::file_size(path) - 3);
  expect_found(kManifestName);
}

TEST_P(Damage, export_of_a_damaged_checkpoint_is_refused) {
  const auto plan = FilePlan::make(shape_);
  flip_bit(newer_ + "/" + plan->files()[0].name, plan->files()[0].bytes - 10);
  TempDir target;
  auto exported = export_checkpoint(newer_, target.path() + "/model");
  ASSERT_FALSE(exported);
  EXPECT_EQ(exported.error().code, Code::kCorrupt);
  EXPECT_FALSE(fs::exists(target.path() + "/model/config.json"));
}

TEST_P(Damage, another_job_or_model_is_refused_not_passed_over) {
  CheckpointWanted wanted{"someone-else", shape_, "d", {}};
  auto found = find_newest_checkpoint(dir_.path(), wanted);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::kBadInput);
  wanted = {"test", shape_, "d", {}};
  wanted.shape->vocab_size += 1;
  found = find_newest_checkpoint(dir_.path(), wanted);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::kBadInput);
}

TEST_P(Damage, one_found_damaged_while_reading_is_passed_over) {
  auto found = find_newest_checkpoint(dir_.path(), {"test", shape_, "d", {newer_}});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->path, older_);
}

TEST_P(Damage, one_that_is_set_aside_lets_its_step_be_written_again) {
  EXPECT_TRUE(set_damaged_aside(dir_.path(), {})->empty());
  fs::resize_file(newer_ + "/" + data_files().front(), 100);
  EXPECT_EQ(*set_damaged_aside(dir_.path(), {}), std::vector<std::string>{newer_ + ".damaged"});
  EXPECT_EQ(save(dir_.path(), info_of(shape_, 2, 1), newer_state_, 3, 2), newer_);
  EXPECT_TRUE(verify_checkpoint(newer_));
  EXPECT_EQ(*set_damaged_aside(dir_.path(), {newer_}), std::vector<std::string>{newer_ + ".damaged-2"})
      << "found while reading";
  EXPECT_TRUE(fs::exists(older_));
}

TEST(DamageOfSlices, in_columns_is_one_slices_alone) {
  ModelShape shape = tiny_shape();
  shape.expert_slices = 2;
  TempDir dir;
  const std::string path = save(dir.path(), info_of(shape, 2, 1), make_state(shape, 2), 3, 2);
  const auto plan = FilePlan::make(shape);
  const int damaged = expert_unit_index(shape, 1, 0, 1);
  const FileRange range = plan->ranges(damaged, {0, kBlocksPerUnit}, StateArray::kMaster).back();
  flip_bit(path + "/" + plan->files()[static_cast<std::size_t>(range.file)].name,
           range.offset + range.rows.place(range.rows.run * 3 + 2));
  auto reader = CheckpointReader::open(path);
  ASSERT_TRUE(reader);
  for (int slice = 0; slice < 2; ++slice) {
    const int unit = expert_unit_index(shape, 1, 0, slice);
    std::vector<float> floats(static_cast<std::size_t>(plan->units()[static_cast<std::size_t>(unit)].padded_numel()));
    auto read = (*reader)->read(unit, {0, kBlocksPerUnit}, StateArray::kMaster, floats);
    EXPECT_EQ(static_cast<bool>(read), unit != damaged);
    if (read) continue;
    EXPECT_NE(read.error().context.find("do not match their checksum, in rows of 192 bytes every 384"),
              std::string::npos)
        << read.error().context;
  }
}

TEST(Catalog, a_root_that_is_empty_or_missing_holds_none) {
  TempDir dir;
  EXPECT_EQ(find_newest_checkpoint(dir.path(), {}).error().code, Code::kNotFound);
  EXPECT_EQ(find_newest_checkpoint(dir.path() + "/none", {}).error().code, Code::kNotFound);
  EXPECT_TRUE(list_checkpoints(dir.path() + "/none").value().empty());
}

}  // namespace
}  // namespace regroup::checkpoint
