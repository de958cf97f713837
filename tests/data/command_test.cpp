#include "tests/data/data_fixture.hpp"

#include <nlohmann/json.hpp>
#include <sys/wait.h>

#include <cstdio>

namespace regroup {
namespace {

// `regroup data …` as a user starts it.
class DataCommandTest : public DataTest {
 protected:
  struct Ended {
    int status;
    std::string out, err;
  };
  [[nodiscard]] Ended run(const std::string& arguments, const std::string& before = "") const {
    const std::string command = "cd " + dir.string() + " && " + before + " " REGROUP_PROGRAMS "/regroup data " +
                                arguments + " >.out 2>.err </dev/null";
    return {WEXITSTATUS(std::system(command.c_str())), read(".out"), read(".err")};
  }
};

TEST_F(DataCommandTest, text_is_prepared_checked_and_counted) {
  write("in.jsonl.gz", gzip("{\"body\": \"one\"}\n{\"body\": \"\"}\n{\"body\": \"two\"}\n"));
  auto ended = run("prepare in.jsonl.gz --field body --out sets/x --json");
  EXPECT_EQ(ended.status, 0) << ended.err;
  const auto json = nlohmann::json::parse(ended.out);
  EXPECT_EQ(json["num_documents"], 2);
  EXPECT_EQ(json["num_tokens"], 8);
  EXPECT_EQ(json["num_empty"], 1);
  EXPECT_SAYS(ended.err, "in.jsonl.gz:2: an empty document: left out");
  ended = run("check sets/x --vocab-size 257 --json");
  EXPECT_EQ(nlohmann::json::parse(ended.out)["num_tokens"], 8) << ended.err;
  ended = run("check sets/x --vocab-size 100");
  EXPECT_EQ(ended.status, 1);
  EXPECT_SAYS(ended.err, "sets/x.bin holds token 256, but the model's vocab_size is 100");
}

TEST_F(DataCommandTest, a_tokenizer_is_trained_and_used) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "the gradient of expert " + std::to_string(i) + " is reduced by the router\n";
  write("in.txt", text);
  EXPECT_EQ(run("train-tokenizer in.txt --vocab-size 320 --out t.model").status, 0) << read(".err");
  EXPECT_EQ(run("prepare in.txt --format lines --tokenizer t.model --validation 0.1 --out x").status, 0)
      << read(".err");
  EXPECT_SAYS(read(".out"), "x-validation.bin: ");
  EXPECT_EQ(run("check x --vocab-size 320").status, 0) << read(".err");
  write("sub/in.txt", text);
  for (int i = 0; i < 2; ++i) {  // the second time they find what the first made
    EXPECT_EQ(run("train-tokenizer sub --vocab-size 320 --out sub/t.model").status, 0) << read(".err");
    EXPECT_TRUE(read("sub/t.model") == read("t.model"));
    EXPECT_EQ(run("prepare sub --tokenizer sub/t.model --format lines --out sub/x").status, 0) << read(".err");
    EXPECT_SAYS(read(".out"), "in 2000 documents");
  }
  EXPECT_EQ(run("train-tokenizer x.json in.txt --vocab-size 320 --out in.txt").status, 1);
  EXPECT_SAYS(read(".err"), "in.txt is there and is no SentencePiece model");
  EXPECT_EQ(run("prepare in.txt --tokenizer absent.model --out y").status, 1);
  EXPECT_SAYS(read(".err"), "absent.model");
}

TEST_F(DataCommandTest, a_sample_is_shown_with_its_documents_and_their_text) {
  write("in.txt", "the first\nthe second\n");
  EXPECT_EQ(run("prepare in.txt --format lines --out x").status, 0) << read(".err");
  auto ended = run("show x --sample 0 --sequence-length 20 --json");
  ASSERT_EQ(ended.status, 0) << ended.err;
  const auto json = nlohmann::json::parse(ended.out);
  EXPECT_EQ(json["document_starts"], nlohmann::json({0, 10}));
  EXPECT_EQ(json["texts"], nlohmann::json({"the first", "the second"}));
  EXPECT_EQ(json["tokens"].size(), 21u);
  EXPECT_SAYS(run("show x --sample 1 --sequence-length 20").out, "sequence 0 of x, drawn in data epoch 1");
  write("job.yaml",
        "name: x\nmodel: not/here\ndata: x\nsteps: 1\nmicrobatches: 2\nsequences_per_microbatch: 1\n"
        "sequence_length: 20\nsnapshots: {checkpoint_every_steps: 1}\n");
  EXPECT_SAYS(run("show job.yaml --sample 1").out, "sample 1: step 1, microbatch 1");
  EXPECT_SAYS(run("show x.bin --sample 0").err, "x.bin is one file of a set; give the prefix of all: x");
  EXPECT_SAYS(run("show nope.yaml --sample 0").err, "there is neither a job file nope.yaml nor a set nope.yaml.idx");
  for (const char* wrong : {"--seed -1", "--seed 18446744073709551616", "--seed 010"}) {
    EXPECT_EQ(run(std::string("show x --sample 0 --sequence-length 20 ") + wrong).status, 2) << wrong;
    EXPECT_SAYS(read(".err"), "must be a whole number from 0 to 18446744073709551615, in decimal digits");
  }
  EXPECT_EQ(run("show x --sample 0 --sequence-length 20 --seed 18446744073709551615").status, 0);
  EXPECT_EQ(run("show x --sample 010 --sequence-length 20").status, 2);
  for (const char* ending : {".json", ".sums"})  // as Megatron's: nobody knows what the tokens say
    fs::remove(dir / (std::string("x") + ending));
  EXPECT_SAYS(run("show x --sample 0 --sequence-length 20").out, "no text: ");
  EXPECT_SAYS(run("show x --sample 0").err, "--sequence-length must say how long");
  EXPECT_SAYS(run("show y --sample 0 --sequence-length 20").err, "y.idx");
  EXPECT_EQ(run("show x --sample -1 --sequence-length 20").status, 2);
  write("job.yaml", "name: x\n");
  EXPECT_SAYS(run("show job.yaml --sample 0 --seed 1").err, "a job file says itself");
  EXPECT_SAYS(run("show job.yaml --sample 0").err, "job.yaml");
}

TEST_F(DataCommandTest, wrong_use_is_told_from_failure) {
  EXPECT_EQ(run("--help").status, 0);
  EXPECT_SAYS(read(".out"), "Usage: regroup data");
  EXPECT_EQ(run("prepare").status, 2);
  EXPECT_EQ(run("prepare a b").status, 2);
  EXPECT_EQ(run("prepair a --out x").status, 2);
  EXPECT_EQ(run("prepare a --out x --validation 2").status, 2);
  EXPECT_EQ(run("prepare a --out x").status, 1);
  EXPECT_SAYS(read(".err"), "there is no input a");
}

// Two versions of protobuf in one process answer each other's calls.
TEST_F(DataCommandTest, sentencepiece_is_in_no_program_with_grpc_or_libtorch) {
  int looked_at = 0;
  for (const char* program : {"regroup", "regroup-data", "regroup-worker", "regroup-agent", "regroup-coordinator"}) {
    const std::string file = std::string(REGROUP_PROGRAMS "/") + program;
    if (!fs::exists(file)) continue;
    ASSERT_EQ(std::system(("ldd " + file + " > " + path("libraries")).c_str()), 0);
    const std::string libraries = read("libraries");
    const auto has = [&](const char* name) { return libraries.find(name) != std::string::npos; };
    EXPECT_FALSE(has("libsentencepiece") && (has("libprotobuf") || has("libgrpc") || has("libtorch"))) << program;
    EXPECT_EQ(has("libsentencepiece"), std::string(program) == "regroup-data") << program;
    ++looked_at;
  }
  EXPECT_GE(looked_at, 2);
}

}  // namespace
}  // namespace regroup
