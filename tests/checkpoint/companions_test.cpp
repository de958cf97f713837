// What lies beside the weights: copied where it is known, never a reason to lose a checkpoint.
#include "checkpoint/io/companions.hpp"

#include "checkpoint/io/catalog.hpp"
#include "tests/checkpoint/support.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <sstream>

namespace regroup::checkpoint {
namespace {

std::string text_of(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

class Companions : public ::testing::Test {
 protected:
  void SetUp() override {
    model_ = dir_.path() + "/model";
    std::filesystem::create_directory(model_);
    std::ofstream(model_ + "/config.json") << R"({"eos_token_id": [2, 7], "bos_token_id": 1, "vocab_size": 1})";
    std::ofstream(model_ + "/README.md") << "not a part";
  }
  CheckpointCommitted save_with(const std::function<void(SaveRequest&)>& change) {
    const ModelShape shape = tiny_shape();
    std::mt19937_64 random(1);
    const State state = make_state(shape, 1);
    const auto shares = cut_state(shape, state, 1, random);
    SaveRequest request = request_of(dir_.path() + "/c" + std::to_string(++count_), info_of(shape, 1, 1), shares, 0);
    request.model_directory = model_;
    change(request);
    const auto written = write_part(request);
    EXPECT_TRUE(written) << written.error().context;
    part_notes_ = written->notes;
    auto committed = commit(request, std::chrono::seconds(10));
    EXPECT_TRUE(committed) << committed.error().context;
    return *committed;
  }
  TempDir dir_;
  std::string model_;
  std::vector<std::string> part_notes_;
  int count_ = 0;
};

TEST_F(Companions, come_from_where_the_weights_came_from_and_go_into_an_export) {
  std::ofstream(model_ + "/tokenizer.json") << "T";
  std::ofstream(model_ + "/generation_config.json") << R"({"temperature": 0.5})";
  const auto saved = save_with([](SaveRequest&) {});
  EXPECT_TRUE(saved.notes.empty());
  const auto config = nlohmann::json::parse(text_of(saved.directory + "/config.json"));
  EXPECT_EQ(config["eos_token_id"], nlohmann::json({2, 7}));
  EXPECT_EQ(config["vocab_size"], tiny_shape().vocab_size) << "all else is the job's";
  const std::string target = dir_.path() + "/export";
  ASSERT_TRUE(export_checkpoint(saved.directory, target));
  for (const std::string& directory : {saved.directory, target}) {
    EXPECT_EQ(text_of(directory + "/tokenizer.json"), "T");
    EXPECT_EQ(text_of(directory + "/generation_config.json"), R"({"temperature": 0.5})");
    EXPECT_FALSE(std::filesystem::exists(directory + "/README.md"));
  }
}

TEST_F(Companions, the_datas_tokenizer_serves_where_the_model_has_none) {
  std::ofstream(dir_.path() + "/sp.model") << "S";
  const auto with = [&](SaveRequest& request) { request.tokenizer_model = dir_.path() + "/sp.model"; };
  EXPECT_EQ(text_of(save_with(with).directory + "/tokenizer.model"), "S");
  std::ofstream(model_ + "/tokenizer.json") << "T";
  EXPECT_FALSE(std::filesystem::exists(save_with(with).directory + "/tokenizer.model"));
}

TEST_F(Companions, are_compared_between_nodes_and_so_is_the_configuration) {
  std::ofstream(model_ + "/tokenizer.json") << "T";
  const auto before = companion_sums(model_);
  ASSERT_TRUE(before);
  ASSERT_EQ(before->size(), 2U);
  EXPECT_EQ(before->at(0).substr(0, 12), "config.json ");
  EXPECT_EQ(before->at(1).substr(0, 15), "tokenizer.json ");
  std::ofstream(model_ + "/config.json") << R"({"eos_token_id": 3})";
  EXPECT_NE(companion_sums(model_)->at(0), before->at(0));
  EXPECT_EQ(companion_sums(model_)->at(1), before->at(1));
}

TEST_F(Companions, a_configuration_that_cannot_be_read_is_a_note) {
  std::filesystem::remove(model_ + "/config.json");
  const auto saved = save_with([](SaveRequest&) {});
  EXPECT_TRUE(saved.notes.empty()) << "the part that writes the configuration says it";
  ASSERT_EQ(part_notes_.size(), 1U);
  EXPECT_NE(part_notes_[0].find("cannot read " + model_ + "/config.json"), std::string::npos) << part_notes_[0];
}

TEST_F(Companions, a_tokenizer_that_did_not_make_the_data_stays_where_it_is) {
  std::ofstream(model_ + "/tokenizer.json") << "T";
  std::ofstream(model_ + "/generation_config.json") << R"({"temperature": 0.5})";
  std::ofstream(dir_.path() + "/sp.model") << "S";
  const std::string saved = save_with([&](SaveRequest& request) {
                              request.has_other_tokenizer = true;
                              request.tokenizer_model = dir_.path() + "/sp.model";
                            }).directory;
  EXPECT_FALSE(std::filesystem::exists(saved + "/tokenizer.json"));
  EXPECT_EQ(text_of(saved + "/tokenizer.model"), "S");
  EXPECT_EQ(text_of(saved + "/generation_config.json"), R"({"temperature": 0.5})");
}

TEST_F(Companions, that_cannot_be_copied_are_a_note) {
  const auto saved = save_with([](SaveRequest& request) {
    request.tokenizer_model = "/nowhere/sp.model";
    request.model_directory = "/nowhere/model";
  });
  ASSERT_EQ(saved.notes.size(), 2u);
  EXPECT_NE(saved.notes[0].find("/nowhere/model"), std::string::npos);
  EXPECT_TRUE(verify_checkpoint(saved.directory));
}

TEST_F(Companions, an_export_in_bf16_is_half_as_large_and_whole_tensors_stay_together) {
  const auto saved = save_with([](SaveRequest&) {});
  const auto fp32 = export_checkpoint(saved.directory, dir_.path() + "/fp32", {false, 50'000});
  const auto bf16 = export_checkpoint(saved.directory, dir_.path() + "/bf16", {true, 50'000});
  ASSERT_TRUE(fp32 && bf16);
  EXPECT_LT(*bf16, *fp32);
  EXPECT_EQ(nlohmann::json::parse(text_of(dir_.path() + "/bf16/config.json"))["torch_dtype"], "bfloat16");
  EXPECT_FALSE(export_checkpoint(saved.directory, dir_.path() + "/bf16", {true})) << "there is a model already";
}

}  // namespace
}  // namespace regroup::checkpoint
