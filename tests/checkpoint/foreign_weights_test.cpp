// Model directories as transformers writes them, and as they are when something went wrong. Each refusal names file,
// tensor, expected and found.
#include "checkpoint/io/foreign_weights.hpp"

#include "checkpoint/core/safetensors_header.hpp"
#include "tests/checkpoint/support.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>

namespace regroup::checkpoint {
namespace {

struct Tensor {
  std::string dtype = "F32";
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};
using Tensors = std::map<std::string, Tensor>;

// Small whole numbers and halves: exact in every type.
Tensors tensors_of(const ModelShape& shape, const std::string& dtype = "F32") {
  Tensors tensors;
  float next = 0;
  for (const Unit& unit : make_units(shape))
    for (const TensorSpec& spec : unit.tensors) {
      Tensor& tensor = tensors[spec.name];
      tensor = {dtype, spec.shape, {}};
      for (std::int64_t i = 0; i < spec.numel; ++i) tensor.values.push_back((next = next < 60 ? next + 0.5f : -60.0f));
    }
  return tensors;
}

void write_file(const std::string& path, const Tensors& tensors) {
  std::vector<FileTensor> placed;
  for (const auto& [name, tensor] : tensors) placed.push_back({name, tensor.dtype, tensor.shape, 0, 0});
  place_tensors(placed);
  std::ofstream out(path, std::ios::binary);
  out << write_safetensors_header(placed);
  for (const FileTensor& at : placed)
    for (const float value : tensors.at(at.name).values) {
      if (at.dtype == "F32" || at.dtype == "I32") {
        out.write(reinterpret_cast<const char*>(&value), 4);
        continue;
      }
      auto bits = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16);
      if (at.dtype == "F16") {
        const auto wide = std::bit_cast<std::uint32_t>(value);
        bits = static_cast<std::uint16_t>(wide >> 16 & 0x8000u);
        if (value != 0) bits |= static_cast<std::uint16_t>(((wide >> 23 & 0xFFu) - 112) << 10 | (wide >> 13 & 0x3FFu));
      }
      out.write(reinterpret_cast<const char*>(&bits), 2);
    }
}

// Two files and an index.
void write_split(const std::string& directory, const Tensors& tensors) {
  Tensors halves[2];
  std::string map;
  std::size_t i = 0;
  for (const auto& [name, tensor] : tensors) {
    const int half = i++ < tensors.size() / 2 ? 0 : 1;
    halves[half][name] = tensor;
    map += (map.empty() ? "" : ", ") +
           ("\"" + name + "\": \"model-0000" + std::to_string(half + 1) + "-of-00002.safetensors\"");
  }
  for (int half = 0; half < 2; ++half)
    write_file(directory + "/model-0000" + std::to_string(half + 1) + "-of-00002.safetensors", halves[half]);
  std::ofstream(directory + "/model.safetensors.index.json") << "{\"metadata\": {}, \"weight_map\": {" << map << "}}";
}

class ForeignWeightsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    shape_ = tiny_shape();
    tensors_ = tensors_of(shape_);
  }
  // Every element of every unit, read in pieces.
  void expect_reads(const Tensors& tensors) {
    auto weights = ForeignWeights::open(dir_.path(), shape_);
    ASSERT_TRUE(weights) << weights.error().context;
    for (const Unit& unit : make_units(shape_))
      for (const Interval blocks : {Interval{0, 1}, Interval{1, 100}, Interval{100, 256}}) {
        std::vector<float> flat(static_cast<std::size_t>(blocks.size() * unit.block_elements), 7.0f);
        ASSERT_TRUE((*weights)->read(unit.index, blocks, flat));
        std::vector<float> wanted(static_cast<std::size_t>(unit.padded_numel()));
        for (const TensorSpec& spec : unit.tensors)
          std::copy(tensors.at(spec.name).values.begin(), tensors.at(spec.name).values.end(),
                    wanted.begin() + spec.offset);
        ASSERT_TRUE(std::equal(flat.begin(), flat.end(), wanted.begin() + blocks.lo * unit.block_elements))
            << "unit " << unit.index;
      }
  }
  std::string complaint() {
    auto weights = ForeignWeights::open(dir_.path(), shape_);
    if (!weights) return weights.error().context;
    auto digest = (*weights)->digest();
    return digest ? "" : digest.error().context;
  }
  std::string complaint_about(const std::function<void(Tensors&)>& change) {
    Tensors changed = tensors_;
    change(changed);
    write_file(dir_.path() + "/model.safetensors", changed);
    return complaint();
  }

  TempDir dir_;
  ModelShape shape_;
  Tensors tensors_;
  const std::string w1_ = "model.layers.0.block_sparse_moe.experts.1.w1.weight";
};

#define EXPECT_SAYS(said, what) EXPECT_NE((said).find(what), std::string::npos) << (said)

TEST_F(ForeignWeightsTest, every_type_is_read_exactly_from_one_file_and_from_several) {
  std::string digest;
  for (const char* dtype : {"F32", "BF16", "F16"}) {
    const Tensors tensors = tensors_of(shape_, dtype);
    write_file(dir_.path() + "/model.safetensors", tensors);
    expect_reads(tensors);
    const auto now = (*ForeignWeights::open(dir_.path(), shape_))->digest();
    ASSERT_TRUE(now) << now.error().context;
    if (digest.empty()) digest = *now;
    EXPECT_EQ(digest, *now) << "the same values in another type";
  }
  write_split(dir_.path(), tensors_);
  std::filesystem::remove(dir_.path() + "/model.safetensors");
  expect_reads(tensors_);
}

TEST_F(ForeignWeightsTest, experts_stored_as_one_tensor_are_taken_apart) {
  Tensors fused;
  const std::int64_t h = shape_.hidden_size, f = shape_.intermediate_size, experts = shape_.num_local_experts;
  for (const auto& [name, tensor] : tensors_)
    if (name.find("block_sparse_moe") == std::string::npos) fused[name] = tensor;
  for (std::int64_t layer = 0; layer < shape_.num_hidden_layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    Tensor up{"F32", {experts, 2 * f, h}, {}}, down{"F32", {experts, h, f}, {}};
    for (std::int64_t e = 0; e < experts; ++e) {
      const auto append = [&](Tensor& to, const char* name) {
        const auto& values = tensors_.at(prefix + "block_sparse_moe.experts." + std::to_string(e) + name).values;
        to.values.insert(to.values.end(), values.begin(), values.end());
      };
      append(up, ".w1.weight");
      append(up, ".w3.weight");
      append(down, ".w2.weight");
    }
    fused[prefix + "mlp.experts.gate_up_proj"] = up;
    fused[prefix + "mlp.experts.down_proj"] = down;
    fused[prefix + "mlp.gate.weight"] = tensors_.at(prefix + "block_sparse_moe.gate.weight");
  }
  write_file(dir_.path() + "/model.safetensors", fused);
  expect_reads(tensors_);
}

TEST_F(ForeignWeightsTest, a_slice_of_an_expert_is_cut_from_its_matrices) {
  write_file(dir_.path() + "/model.safetensors", tensors_);
  shape_.expert_slices = 2;
  auto weights = ForeignWeights::open(dir_.path(), shape_);
  ASSERT_TRUE(weights) << weights.error().context;
  const std::int64_t h = shape_.hidden_size, f = shape_.intermediate_size, part = f / 2;
  const Unit unit = make_units(shape_)[static_cast<std::size_t>(expert_unit_index(shape_, 0, 1, 1))];
  std::vector<float> flat(static_cast<std::size_t>(unit.padded_numel()));
  ASSERT_TRUE((*weights)->read(unit.index, {0, kBlocksPerUnit}, flat));
  const Tensor& w1 = tensors_.at(w1_);
  const Tensor& w2 = tensors_.at("model.layers.0.block_sparse_moe.experts.1.w2.weight");
  for (std::int64_t i = 0; i < part * h; ++i)
    ASSERT_EQ(flat[static_cast<std::size_t>(unit.tensors[0].offset + i)],
              w1.values[static_cast<std::size_t>(part * h + i)]);
  for (std::int64_t row = 0; row < h; ++row)
    for (std::int64_t column = 0; column < part; ++column)
      ASSERT_EQ(flat[static_cast<std::size_t>(unit.tensors[2].offset + row * part + column)],
                w2.values[static_cast<std::size_t>(row * f + part + column)]);
}

TEST_F(ForeignWeightsTest, only_what_is_asked_for_is_read) {
  write_file(dir_.path() + "/model.safetensors", tensors_);
  auto weights = ForeignWeights::open(dir_.path(), shape_);
  const Unit unit = make_units(shape_)[static_cast<std::size_t>(expert_unit_index(shape_, 1, 0))];
  std::vector<float> flat(static_cast<std::size_t>(16 * unit.block_elements));
  ASSERT_TRUE((*weights)->read(unit.index, {32, 48}, flat));
  EXPECT_EQ((*weights)->bytes_read(), 16 * unit.block_elements * 4);
}

TEST_F(ForeignWeightsTest, a_tied_model_may_hold_its_table_under_either_name) {
  shape_.tie_word_embeddings = true;
  tensors_ = tensors_of(shape_);
  Tensors both = tensors_;
  both["lm_head.weight"] = tensors_.at("model.embed_tokens.weight");
  write_file(dir_.path() + "/model.safetensors", both);
  expect_reads(tensors_);
  both.erase("model.embed_tokens.weight");
  write_file(dir_.path() + "/model.safetensors", both);
  expect_reads(tensors_);
}

TEST_F(ForeignWeightsTest, a_tied_model_with_two_different_tables_is_refused) {
  shape_.tie_word_embeddings = true;
  tensors_ = tensors_of(shape_);
  EXPECT_EQ(complaint_about([](Tensors& t) { t["lm_head.weight"] = t["model.embed_tokens.weight"]; }), "");
  const std::string differs = complaint_about([](Tensors& t) {
    t["lm_head.weight"] = t["model.embed_tokens.weight"];
    t["lm_head.weight"].values.back() += 1;
  });
  EXPECT_SAYS(differs, "model.safetensors: lm_head.weight differs from the embedding at element " +
                           std::to_string(shape_.vocab_size * shape_.hidden_size - 1));
  EXPECT_SAYS(differs, "tie_word_embeddings");
  EXPECT_SAYS(complaint_about([](Tensors& t) { t["lm_head.weight"] = {"F32", {1}, {1}}; }), "no copy of the embedding");
}

TEST_F(ForeignWeightsTest, one_file_comes_before_an_index_as_in_transformers) {
  write_split(dir_.path(), tensors_);
  EXPECT_TRUE(ForeignWeights::look(dir_.path())->empty());
  Tensors others = tensors_;
  for (auto& [name, tensor] : others)
    for (float& value : tensor.values) value += 1;
  write_file(dir_.path() + "/model.safetensors", others);
  expect_reads(others);
  const auto notes = ForeignWeights::look(dir_.path());
  ASSERT_TRUE(notes && notes->size() == 1);
  EXPECT_SAYS(notes->front(),
              "not from model-00001-of-00002.safetensors, model-00002-of-00002.safetensors, "
              "model.safetensors.index.json beside it");
  std::filesystem::remove(dir_.path() + "/model-00001-of-00002.safetensors");
  expect_reads(others);
  std::filesystem::remove(dir_.path() + "/model.safetensors");
  EXPECT_SAYS(complaint(), "model-00001-of-00002.safetensors is missing");
}

TEST_F(ForeignWeightsTest, what_lies_in_place_of_weights_is_named) {
  const std::string one = dir_.path() + "/model.safetensors";
  const auto said_of = [&](const std::string& name) {
    const std::string path = dir_.path() + "/" + name;
    write_file(one, tensors_);
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::filesystem::rename(one, path);
    const auto looked = ForeignWeights::look(dir_.path());
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) std::filesystem::remove_all(entry);
    return looked ? std::string() : looked.error().context;
  };
  for (const auto& [name, what] : std::map<std::string, std::string>{
           {"model-00001-of-00002.safetensors", "a shard whose model.safetensors.index.json is not there"},
           {"model.safetensors.incomplete", "an unfinished download"},
           {"model.fp16.safetensors", "a variant"},
           {"pytorch_model.bin", "pickled by PyTorch"},
           {"pytorch_model.bin.index.json", "pickled by PyTorch"},
           {"adapter_model.safetensors", "an adapter"},
           {"consolidated.safetensors", "Mistral's own form"},
           {"Model.safetensors", "under a name that transformers does not open"},
           {"mixtral.Q4_K_M.gguf", "llama.cpp's form"},
           {"tf_model.h5", "not read"}})
    EXPECT_SAYS(said_of(name), "; there: " + name + " (" + what);
  EXPECT_SAYS(said_of("checkpoint-500/model.safetensors"), "there: checkpoint-500 (a directory that holds weights");
  EXPECT_SAYS(said_of("snapshots/0123/model.safetensors"), "there: snapshots/0123 (holds weights");
  const std::string nothing = said_of("README.md");
  EXPECT_TRUE(nothing.ends_with("with its shards)")) << nothing;
  std::filesystem::create_symlink("../../blobs/0123", one);
  EXPECT_SAYS(complaint(), "model.safetensors (is a link to ../../blobs/0123, which is not there");
  std::filesystem::remove(one);
  std::filesystem::create_directory(one);
  EXPECT_SAYS(complaint(), "model.safetensors (is no regular file)");
  std::filesystem::remove(one);
  write_file(one, tensors_);
  std::ofstream(dir_.path() + "/adapter_config.json") << "{}";
  EXPECT_SAYS(complaint(), "adapter_config.json) beside the model");
}

TEST_F(ForeignWeightsTest, what_is_no_safetensors_file_is_called_by_its_name) {
  for (const auto& [bytes, what] : std::map<std::string, std::string>{
           {"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "this is a Git LFS pointer"},
           {"<!DOCTYPE html><html>", "this is a web page"},
           {"GGUF\x03andmore", "this is a GGUF file"},
           {"\x80\4 and more", "this is a Python pickle"},
           {"PK\x03\x04\x08\x08\x08\x08", "this is a zip archive"},
           {"{\"error\": 5}", "starts with '{\"error\"'"},
           {"abc", "shorter than 8 bytes"}}) {
    std::ofstream(dir_.path() + "/model.safetensors") << bytes;
    EXPECT_SAYS(complaint(), "/model.safetensors: ");
    EXPECT_SAYS(complaint(), what);
  }
}

TEST_F(ForeignWeightsTest, tensors_that_contradict_the_config_are_refused) {
  const std::string missing = complaint_about([&](Tensors& t) { t.erase(w1_); });
  EXPECT_SAYS(missing, w1_);
  EXPECT_SAYS(missing, dir_.path());
  ModelShape qwen = shape_;
  qwen.architecture = Architecture::kQwen3Moe;
  write_file(dir_.path() + "/model.safetensors", tensors_);
  EXPECT_SAYS(ForeignWeights::open(dir_.path(), qwen).error().context,
              "; the files hold model.layers.0.block_sparse_moe.experts.0.w1.weight, as those of a mixtral model do");
  const std::string shape = complaint_about([&](Tensors& t) { std::swap(t[w1_].shape[0], t[w1_].shape[1]); });
  EXPECT_SAYS(shape, "model.safetensors: " + w1_ + " has the shape [" + std::to_string(shape_.hidden_size) + ", " +
                         std::to_string(shape_.intermediate_size) + "]");
  EXPECT_SAYS(
      shape, "asks for [" + std::to_string(shape_.intermediate_size) + ", " + std::to_string(shape_.hidden_size) + "]");
  const std::string more = complaint_about([&](Tensors& t) {
    t["model.layers.99.input_layernorm.weight"] = {"F32", {1}, {1}};
  });
  EXPECT_SAYS(more, "model.layers.99.input_layernorm.weight [1], for which");
  EXPECT_SAYS(complaint_about([](Tensors& t) {
                Tensor& norm = t["model.norm.weight"];  // as many bytes
                norm.dtype = "I32";
              }),
              "model.norm.weight is of type I32; F32, BF16 and F16 are read");
}

TEST_F(ForeignWeightsTest, a_weight_that_is_not_finite_is_named) {
  const std::string nan = complaint_about([&](Tensors& t) { t[w1_].values[5] = std::nanf(""); });
  EXPECT_SAYS(nan, w1_ + " holds nan at element 5");
  EXPECT_SAYS(nan, "model.safetensors");
  EXPECT_SAYS(complaint_about([&](Tensors& t) { t["model.norm.weight"].values[0] = -INFINITY; }),
              "model.norm.weight holds -inf at element 0");
  EXPECT_EQ(complaint_about([](Tensors&) {}), "");
}

TEST_F(ForeignWeightsTest, files_that_are_missing_cut_off_or_not_as_the_index_says_are_refused) {
  EXPECT_SAYS(complaint(), "holds no weights that are read here (model.safetensors, or model.safetensors.index.json");
  write_split(dir_.path(), tensors_);
  EXPECT_EQ(complaint(), "");
  const std::string second = dir_.path() + "/model-00002-of-00002.safetensors";
  std::filesystem::rename(second, second + ".away");
  EXPECT_SAYS(complaint(), second + " is missing: model.safetensors.index.json says that ");
  std::filesystem::rename(second + ".away", second);
  std::filesystem::resize_file(second, std::filesystem::file_size(second) - 4);
  EXPECT_SAYS(complaint(), second);
  write_split(dir_.path(), tensors_);
  Tensors less;
  less["model.norm.weight"] = tensors_.at("model.norm.weight");
  write_file(second, less);
  EXPECT_SAYS(complaint(), second + " does not hold ");
  std::ofstream(second) << "not safetensors";
  EXPECT_SAYS(complaint(), second);
  std::ofstream(dir_.path() + "/model.safetensors.index.json") << R"({"weight_map": {"a": "../x"}})";
  EXPECT_SAYS(complaint(), "no file name");
  std::ofstream(dir_.path() + "/model.safetensors.index.json") << R"({"weight_map": {"a": 5}})";
  EXPECT_SAYS(complaint(), "/model.safetensors.index.json: weight_map.a must be a string");
  std::ofstream(dir_.path() + "/model.safetensors.index.json") << "{}";
  EXPECT_SAYS(complaint(), "/model.safetensors.index.json: weight_map is missing");
  std::ofstream(dir_.path() + "/model.safetensors.index.json") << "{";
  EXPECT_SAYS(complaint(), "/model.safetensors.index.json: this is not JSON");
}

}  // namespace
}  // namespace regroup::checkpoint
