#include "checkpoint/core/cover.hpp"
#include "checkpoint/core/file_plan.hpp"
#include "checkpoint/core/manifest.hpp"
#include "checkpoint/core/replicas.hpp"
#include "checkpoint/core/retention.hpp"
#include "tests/checkpoint/support.hpp"

#include <gtest/gtest.h>

#include <set>

namespace regroup::checkpoint {
namespace {

std::string file_with(const std::string& json, std::size_t data_bytes) {
  std::string out(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) out[i] = static_cast<char>(json.size() >> (8 * i) & 0xff);
  return out + json + std::string(data_bytes, 'x');
}
auto parse(const std::string& json, std::size_t data_bytes) {
  const std::string file = file_with(json, data_bytes);
  return parse_safetensors_header(file, static_cast<std::int64_t>(file.size()));
}

TEST(SafetensorsHeader, what_is_written_is_parsed_again) {
  std::vector<FileTensor> tensors{{"a", "F32", {3}}, {"b", "F32", {32, 32}}, {"c", "F32", {1024}}, {"d", "F32", {}}};
  place_tensors(tensors);
  const std::string header = write_safetensors_header(tensors);
  EXPECT_EQ(header.size() % kFilePage, 0U);
  EXPECT_EQ(tensors[0].name, "b");  // whole pages first
  EXPECT_EQ(tensors[1].name, "c");
  EXPECT_EQ(tensors[2].name, "a");
  auto parsed = parse_safetensors_header(header, static_cast<std::int64_t>(header.size()) + tensors.back().end);
  ASSERT_TRUE(parsed) << to_string(parsed.error());
  EXPECT_EQ(parsed->tensors, tensors);
  EXPECT_EQ(parsed->data_start, static_cast<std::int64_t>(header.size()));
}

TEST(SafetensorsHeader, what_is_not_exactly_right_is_refused) {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  EXPECT_TRUE(parse(good, 8));
  EXPECT_TRUE(parse(good + "   ", 8));
  EXPECT_TRUE(parse(R"({"__metadata__":null,"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8));
  EXPECT_TRUE(parse(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8));
  EXPECT_TRUE(parse(
      R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}})",
      2));
  const std::pair<const char*, std::size_t> bad[] = {
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 9},           // a trailing byte
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 7},           // cut off
      {R"( {"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8},          // a leading blank
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}\n", 8},  // other padding
      // twice
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
       8},
      {R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8},  // a field twice
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})", 8},          // unknown field
      {R"({"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}})", 8},                // unknown dtype
      {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8},                // wrong size
      {R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8},
      {R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8},
      {R"({"a":{"dtype":"F32","shape":[281474976710655,281474976710655],"data_offsets":[0,8]}})", 8},  // overflow
      {R"({"a":{"dtype":"F4","shape":[1],"data_offsets":[0,0]}})", 0},                                 // half a byte
      // a hole
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
       R"("b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
       12},
      // an overlap
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
       R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
       12},
      {R"({"__metadata__":{"n":1}})", 0},
      {R"([1])", 0},
      {R"({"a":})", 0},
  };
  for (const auto& [json, bytes] : bad) {
    auto parsed = parse(json, bytes);
    ASSERT_FALSE(parsed) << json;
    EXPECT_EQ(parsed.error().code, Code::kCorrupt);
  }
  EXPECT_FALSE(safetensors_data_start(std::string("\xff\xff\xff\xff\xff\xff\xff\xff"), 100));
  EXPECT_FALSE(safetensors_data_start("abc", 3));
}

TEST(FilePlan, every_element_of_every_array_has_one_place_and_all_places_fill_the_files) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 20; ++round) {
    const ModelShape shape = random_shape(random);
    auto plan = FilePlan::make(shape, round % 2 ? 200'000 : 4'000'000'000);
    ASSERT_TRUE(plan);
    std::vector<Extent> extents;
    for (const Unit& unit : plan->units())
      for (int array = 0; array < kStateArrays; ++array) {
        const int cut = static_cast<int>(random() % (kBlocksPerUnit + 1));
        for (const Interval blocks : {Interval{0, cut}, Interval{cut, kBlocksPerUnit}})
          for (const FileRange& range : plan->ranges(unit.index, blocks, static_cast<StateArray>(array)))
            extents.push_back({range.file, range.offset, range.bytes, {}, range.rows, range.from});
      }
    std::sort(extents.begin(), extents.end(), lies_before);
    std::vector<ManifestFile> files;
    for (const PlannedFile& file : plan->files())
      files.push_back({file.name, file.bytes, static_cast<std::int64_t>(file.header.size()), 0});
    auto covered = check_cover(files, extents);
    EXPECT_TRUE(covered) << to_string(covered.error());
    EXPECT_EQ(plan->state_bytes(), count_parameters(shape) * 12);
  }
}

TEST(FilePlan, the_weights_files_are_the_same_however_many_slices_an_expert_has) {
  ModelShape shape = tiny_shape();
  for (const std::int64_t max_bytes : {std::int64_t{200'000}, std::int64_t{4'000'000'000}}) {
    shape.expert_slices = 1;
    const FilePlan whole = *FilePlan::make(shape, max_bytes);
    shape.expert_slices = 4;
    const FilePlan sliced = *FilePlan::make(shape, max_bytes);
    ASSERT_EQ(sliced.files().size(), whole.files().size());
    EXPECT_EQ(sliced.weight_map(), whole.weight_map());
    for (std::size_t f = 0; f < whole.files().size(); ++f) {
      EXPECT_EQ(sliced.files()[f].bytes, whole.files()[f].bytes);
      if (!whole.files()[f].weights) continue;
      EXPECT_EQ(sliced.files()[f].header, whole.files()[f].header);
    }
    // Columns 24 to 48 of [64, 96] are the second slice's.
    const int unit = expert_unit_index(shape, 1, 2, 1);
    const FileRange columns = sliced.ranges(unit, {0, kBlocksPerUnit}, StateArray::kMaster).back();
    const FileRange all =
        whole.ranges(expert_unit_index(whole.shape(), 1, 2), {0, kBlocksPerUnit}, StateArray::kMaster).back();
    EXPECT_EQ(columns.rows, (FileRows{24 * 4, 96 * 4}));
    EXPECT_EQ(columns.offset, all.offset + all.bytes - 64 * 96 * 4 + 24 * 4);
    EXPECT_EQ(columns.bytes, 64 * 24 * 4);
    EXPECT_FALSE(sliced.ranges(unit, {0, kBlocksPerUnit}, StateArray::kFirstMoment).back().rows);
  }
}

TEST(FilePlan, weights_have_their_hugging_face_names) {
  auto plan = FilePlan::make(tiny_shape());
  const auto map = plan->weight_map();
  for (const char* name :
       {"model.embed_tokens.weight", "model.layers.1.self_attn.q_proj.weight",
        "model.layers.0.block_sparse_moe.gate.weight", "model.layers.1.block_sparse_moe.experts.3.w2.weight",
        "model.norm.weight", "lm_head.weight"})
    EXPECT_EQ(map.count(name), 1U) << name;
  EXPECT_EQ(map.begin()->second, "model-00001-of-00001.safetensors");
}

Manifest some_manifest() {
  Manifest manifest{info_of(tiny_shape(), 12, 3),
                    {{"model-00001-of-00001.safetensors", 200'000, 4096, 7}},
                    {{0, 4096, 195'904, {}}},
                    99};
  manifest.extents[0].checksums.assign(static_cast<std::size_t>(manifest.extents[0].num_pieces()),
                                       0xfedcba9876543210ULL);
  manifest.info.shape.sliding_window = 64;
  manifest.info.bad = {5, 2};
  manifest.info.shape.rms_norm_eps = 1e-6;
  return manifest;
}

TEST(Manifest, comes_back_as_it_was) {
  const Manifest manifest = some_manifest();
  auto back = manifest_from_json(to_json(manifest));
  ASSERT_TRUE(back) << to_string(back.error());
  EXPECT_EQ(*back, manifest);
  PartRecord record{manifest.info, 1, 4, manifest.extents, 1, std::vector<UnitSum>{{3, 0x12}, {5, 7}}};
  auto part = part_record_from_json(to_json(record));
  ASSERT_TRUE(part);
  EXPECT_EQ(*part, record);
  record.holds.reset();
  EXPECT_EQ(*part_record_from_json(to_json(record)), record);
  EXPECT_FALSE(manifest_from_json(to_json(record)));  // one is not the other
}

TEST(Manifest, its_digest_names_it_by_its_content) {
  Manifest manifest = some_manifest();
  const std::string digest = digest_in(to_json(manifest));
  EXPECT_EQ(digest.size(), 32u);
  EXPECT_EQ(digest_in(to_json(some_manifest())), digest);
  manifest.extents.front().checksums.front() ^= 1;
  EXPECT_NE(digest_in(to_json(manifest)), digest);
  EXPECT_EQ(digest_in("{}"), "");
}

TEST(Replicas, sums_of_a_groups_members_are_added_and_groups_compared) {
  const CheckpointInfo info = info_of(tiny_shape(), 9, 1);
  const auto part = [&](int group, std::vector<UnitSum> holds) { return PartRecord{info, 0, 3, {}, group, holds}; };
  EXPECT_TRUE(check_replicas({}));
  const std::vector<PartRecord> same{part(0, {{0, 5}, {1, 7}}), part(0, {{1, ~0ull}}), part(1, {{0, 5}, {1, 6}})};
  EXPECT_TRUE(check_replicas(same));
  std::vector<PartRecord> other = same;
  other[2].holds->back().sum = 8;
  ASSERT_FALSE(check_replicas(other));
  EXPECT_EQ(check_replicas(other).error().code, Code::kCorrupt);
  EXPECT_NE(
      check_replicas(other).error().context.find("after step 9 the groups 0 and 1 hold different states in unit 1"),
      std::string::npos);
  other[1].holds.reset();
  EXPECT_TRUE(check_replicas(other)) << "what group 0 holds is not known";
}

TEST(Manifest, every_single_changed_byte_is_noticed) {
  const std::string text = to_json(some_manifest());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(manifest_from_json(changed)) << i;
  }
  EXPECT_FALSE(manifest_from_json(text.substr(0, text.size() / 2)));
  EXPECT_FALSE(manifest_from_json(""));
}

TEST(Manifest, columns_come_back_as_they_were) {
  Manifest manifest = some_manifest();
  manifest.extents = {{0, 4096, 7, {1}, {}, 0},
                      {0, 4103, 160, {2}, {40, 100}, 0},
                      {0, 4103, 40, {3}, {40, 100}, 160},
                      {0, 4143, 190'000, {4, 5, 6, 7}, {60, 100}, 65'490}};
  auto back = manifest_from_json(to_json(manifest));
  ASSERT_TRUE(back) << to_string(back.error());
  EXPECT_EQ(*back, manifest);
  std::swap(manifest.extents[1], manifest.extents[2]);
  EXPECT_FALSE(manifest_from_json(to_json(manifest)));
}

// [5, 10] bytes from byte 20 on, as two columns of 5.
TEST(Cover, columns_lie_side_by_side_and_each_is_whole) {
  const std::vector<ManifestFile> files{{"f", 80, 10, 0}};
  const FileRows rows{5, 10};
  const auto check = [&](std::vector<Extent> columns) {
    columns.insert(columns.begin(), {0, 10, 10, {}, {}, 0});
    columns.push_back({0, 70, 10, {}, {}, 0});
    auto ok = check_cover(files, columns);
    return ok ? std::string() : ok.error().context;
  };
  EXPECT_EQ(check({{0, 20, 25, {}, rows, 0}, {0, 25, 25, {}, rows, 0}}), "");
  EXPECT_EQ(check({{0, 20, 25, {}, rows, 0}, {0, 25, 13, {}, rows, 0}, {0, 25, 12, {}, rows, 13}}), "");
  EXPECT_EQ(check({{0, 20, 25, {}, rows, 0}}), "f: byte 25 was written by no part");
  EXPECT_EQ(check({{0, 20, 25, {}, rows, 0}, {0, 25, 12, {}, rows, 0}}), "f: byte 47 was written by no part");
  EXPECT_EQ(check({{0, 20, 25, {}, rows, 0}, {0, 25, 13, {}, rows, 0}, {0, 25, 11, {}, rows, 14}}),
            "f: byte 48 was written by no part");
  EXPECT_EQ(check({{0, 20, 25, {}, rows, 0}, {0, 25, 14, {}, rows, 0}, {0, 25, 12, {}, rows, 13}}),
            "f: byte 48 was written by two parts");
  EXPECT_NE(check({{0, 20, 20, {}, rows, 0}, {0, 25, 25, {}, rows, 0}}), "");
  EXPECT_NE(check({{0, 20, 23, {}, rows, 0}, {0, 25, 23, {}, rows, 0}}), "");
}

TEST(Cover, a_hole_and_an_overlap_are_named) {
  const std::vector<ManifestFile> files{{"f", 100, 10, 0}};
  EXPECT_TRUE(check_cover(files, {{0, 10, 40, {}}, {0, 50, 50, {}}}));
  EXPECT_NE(
      check_cover(files, {{0, 10, 40, {}}, {0, 51, 49, {}}}).error().context.find("f: byte 50 was written by no part"),
      std::string::npos);
  EXPECT_NE(check_cover(files, {{0, 10, 40, {}}, {0, 49, 51, {}}})
                .error()
                .context.find("f: byte 49 was written by two parts"),
            std::string::npos);
  EXPECT_FALSE(check_cover(files, {{0, 10, 40, {}}}));
  EXPECT_FALSE(check_cover(files, {{0, 10, 91, {}}}));
  EXPECT_FALSE(check_cover(files, {}));
  EXPECT_FALSE(check_cover(files, {{0, 10, 90, {}}, {1, 0, 5, {}}}));
}

StoredCheckpoint stored(std::int64_t step, std::uint64_t epoch, bool complete) {
  const CheckpointName name{Step{step}, Epoch{epoch}};
  return {name, to_directory(name), complete};
}
std::vector<std::string> deleted(const std::vector<StoredCheckpoint>& all, int keep, std::uint64_t live) {
  std::vector<std::string> names;
  for (const Deletion& deletion : choose_deletions(all, keep, Epoch{live}))
    names.push_back(deletion.checkpoint.directory);
  return names;
}
using Names = std::vector<std::string>;

TEST(Retention, of_saves_that_never_succeed_one_stays_beside_the_one_that_is_written) {
  const auto name = [](std::int64_t step, std::uint64_t epoch) { return CheckpointName{Step{step}, Epoch{epoch}}; };
  using List = std::vector<CheckpointName>;
  EXPECT_EQ(left_behind({name(30, 2), name(10, 1), name(20, 2)}, name(40, 2)), (List{name(10, 1), name(20, 2)}));
  EXPECT_EQ(left_behind({name(40, 2), name(30, 2)}, name(40, 2)), List{}) << "it itself, and the one before";
  EXPECT_EQ(left_behind({name(10, 3), name(20, 3), name(50, 2)}, name(40, 2)), List{})
      << "a newer epoch's, a later step's";
}

TEST(Retention, names_go_both_ways) {
  EXPECT_EQ(to_directory({Step{1200}, Epoch{7}}), "step-00001200.e7");
  EXPECT_EQ(checkpoint_name("step-00001200.e7"), (CheckpointName{Step{1200}, Epoch{7}}));
  for (const char* other : {"step-12", "step-.e1", "step-1.e", "step-1.e2.failed-0", "step--1.e2", "x", ""})
    EXPECT_FALSE(checkpoint_name(other)) << other;
}

TEST(Retention, keeps_the_newest_and_never_the_last) {
  const std::vector<StoredCheckpoint> all{stored(1, 1, true), stored(3, 1, true), stored(2, 1, true)};
  EXPECT_EQ(deleted(all, 2, 1), Names{"step-00000001.e1"});
  EXPECT_EQ(deleted(all, 5, 1), Names{});
  EXPECT_EQ(deleted(all, 0, 1), (Names{"step-00000001.e1", "step-00000002.e1"}));  // oldest first
  EXPECT_EQ(deleted({stored(1, 1, true), stored(2, 1, false)}, 1, 5), Names{});    // the only complete one
}

// One incomplete checkpoint beside one complete one: every order of their steps, of their epochs, and of the incomplete
// one's epoch and the live one.
TEST(Retention, an_unfinished_one_goes_when_nothing_is_lost_and_nobody_can_be_writing_it) {
  constexpr bool kGoes = true, kStays = false;
  const struct {
    std::int64_t step;  // of the incomplete one; the complete one is of step 6
    std::uint64_t epoch, epoch_of_complete, live;
    bool goes;
    const char* why;
  } cases[] = {
      {5, 1, 2, 2, kGoes, "its epoch is over"},
      {5, 1, 1, 2, kGoes, "its epoch is over, and that one's too"},
      {5, 2, 1, 3, kGoes, "its epoch is over, though newer than that one's"},
      {5, 2, 2, 2, kGoes, "a later save of its own epoch ended"},
      {5, 2, 3, 2, kGoes, "a later save of a newer epoch ended: whoever asks does not know that epoch yet"},
      {5, 3, 2, 3, kStays, "its epoch lives, lost steps and may be writing it again"},
      {5, 3, 2, 2, kStays, "of an epoch that whoever asks does not know yet"},
      {6, 1, 2, 2, kGoes, "the same step is complete, its epoch is over"},
      {6, 2, 1, 2, kStays, "the same step is complete, but its epoch lives"},
      {6, 1, 2, 1, kStays, "the same step is complete in a newer epoch, but whoever asks lives in its epoch"},
      {7, 2, 2, 2, kStays, "under way: newer than all complete ones"},
      {7, 1, 2, 2, kStays, "its epoch is over, but nothing complete is as new: kept until something is"},
      {7, 3, 2, 2, kStays, "newer in every way"},
  };
  for (const auto& c : cases) {
    const StoredCheckpoint unfinished = stored(c.step, c.epoch, false);
    EXPECT_EQ(deleted({unfinished, stored(6, c.epoch_of_complete, true)}, 3, c.live),
              c.goes ? Names{unfinished.directory} : Names{})
        << c.why;
    EXPECT_EQ(deleted({unfinished, stored(6, c.epoch_of_complete, false)}, 3, c.live), Names{})
        << "beside another incomplete one it always stays";
  }
}

TEST(Retention, an_unfinished_one_is_judged_by_any_complete_one_also_by_one_that_goes_itself) {
  EXPECT_EQ(deleted({stored(4, 1, false), stored(5, 1, true), stored(6, 1, true)}, 1, 1),
            (Names{"step-00000004.e1", "step-00000005.e1"}));
  EXPECT_EQ(deleted({stored(5, 2, false), stored(6, 1, true), stored(7, 2, true)}, 3, 2), Names{"step-00000005.e2"});
}

}  // namespace
}  // namespace regroup::checkpoint
