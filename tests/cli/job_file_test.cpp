#include "cli/job/job_file.hpp"

#include "tests/cli/job_file_fixture.hpp"

#include <sys/stat.h>

#include <iterator>
#include <regex>

namespace regroup::cli {
namespace {

TEST_F(JobFileTest, a_good_file_becomes_a_job) {
  auto file = load(kGood);
  ASSERT_TRUE(file) << file.error().context;
  const JobSpec& job = file->job;
  EXPECT_EQ(job.name, "good");
  EXPECT_EQ(job.seed, 3u);
  EXPECT_EQ(job.data_prefix, (dir / "data/text").string());
  EXPECT_EQ(job.snapshots.checkpoint_dir, (dir / "ckpt").string());
  EXPECT_EQ(job.model.head_dim, 16);
  EXPECT_EQ(job.model.max_position_embeddings, 32);
  EXPECT_EQ(job.chains, 8);
  EXPECT_EQ(job.optimizer.learning_rate, 1e-3);
  EXPECT_EQ(job.optimizer.schedule, ScheduleKind::kLinear);
  EXPECT_EQ(job.elastic.worker_memory_bytes, std::int64_t{2} << 30);
  EXPECT_EQ(job.elastic.load_gain, 0.25);
}

TEST_F(JobFileTest, validation_takes_the_set_beside_the_training_data) {
  EXPECT_FALSE(load(kGood)->job.validation.due_at_all());
  const std::string with = std::string(kGood) + "validation: {interval: 4}\n";
  const auto file = load(with);
  ASSERT_TRUE(file) << file.error().context;
  EXPECT_EQ(file->job.validation.data_prefix, (dir / "data/text-validation").string());
  EXPECT_EQ(file->job.validation.microbatches, file->job.microbatches);
  EXPECT_TRUE(file->job.validation.due(8, 10) && file->job.validation.due(10, 10) && !file->job.validation.due(9, 10) &&
              !file->job.validation.due(0, 10));
  EXPECT_SAYS(load(std::string(kGood) + "validation: {interval: 4, microbatch: 1}\n").error().context,
              "did you mean microbatches?");
}

TEST_F(JobFileTest, wsd_falls_over_the_last_tenth_unless_told) {
  EXPECT_SAYS(complaint("linear", "wsd\n  decay_steps: 11"), "optimizer.decay_steps (11)");
  std::string text = kGood;
  text.replace(text.find("linear"), 6, "wsd");
  EXPECT_EQ(load(text)->job.optimizer.decay_steps, 1);
}

TEST_F(JobFileTest, other_steps_bring_their_own_defaults_and_cut_the_schedule) {
  const auto optimizer = [&](const std::string& schedule, std::int64_t steps) {
    std::string text = kGood;
    text.replace(text.find("linear"), 6, schedule);
    std::ofstream(dir / "job.yaml") << text;
    auto file = load_job((dir / "job.yaml").string(), {}, steps);
    EXPECT_TRUE(file) << file.error().context;
    EXPECT_EQ(file->job.steps, steps > 0 ? steps : 10);
    return file->job.optimizer;
  };
  EXPECT_EQ(optimizer("wsd", 200).decay_steps, 20);
  EXPECT_EQ(optimizer("wsd\n  warmup_steps: 5\n  decay_steps: 5", 7).decay_steps, 2);
  EXPECT_EQ(optimizer("wsd\n  warmup_steps: 5\n  decay_steps: 5", 3).warmup_steps, 2);
  EXPECT_EQ(optimizer("wsd\n  warmup_steps: 5\n  decay_steps: 5", 3).decay_steps, 1);
  EXPECT_EQ(optimizer("linear\n  warmup_steps: 5", 3).warmup_steps, 3);
  EXPECT_EQ(optimizer("linear\n  warmup_steps: 5", 0).warmup_steps, 5);
}

TEST_F(JobFileTest, a_typo_is_named_with_its_line_and_the_nearest_key) {
  const std::string said = complaint("learning_rate", "learnign_rate");
  EXPECT_SAYS(said, "job.yaml:18: optimizer.learnign_rate");
  EXPECT_SAYS(said, "did you mean learning_rate?");
  EXPECT_SAYS(complaint("steps: 10", "stepz: 10"), "job.yaml:13: stepz is not a key here; did you mean steps?");
  for (const char* line : {"name: good\n", "data: data/text\n", "steps: 10\n", "microbatches: 8\n",
                           "sequences_per_microbatch: 1\n", "sequence_length: 32\n"}) {
    const std::string key(line, std::string(line).find(':'));
    EXPECT_SAYS(complaint(line, ""), ": " + key + " is missing");
  }
  EXPECT_SAYS(complaint("seed: 3", "? [a, b]\n: 3"), "job.yaml:2:  has a key that is not a word");
  EXPECT_SAYS(complaint("  dir: ckpt\n", "  dir: ckpt\n---\nname: other\n"), "holds a second document");
  EXPECT_SAYS(complaint("seed", "sead"), "did you mean seed?");
  EXPECT_SAYS(complaint("max_groups", "max_group"), "elastic.max_group is not a key here; did you mean max_groups?");
  EXPECT_SAYS(complaint("num_hidden_layers: 2", "num_hidden_layers: 2\n  layers: 2"),
              "did you mean num_hidden_layers?");
  EXPECT_SAYS(complaint("linear", "liner"), "did you mean linear?");
}

TEST_F(JobFileTest, a_wrong_type_is_named) {
  EXPECT_SAYS(complaint("steps: 10", "steps: ten"), "steps is 'ten', must be a whole number");
  EXPECT_SAYS(complaint("steps: 10", "steps: 1.5"), "must be a whole number");
  EXPECT_SAYS(complaint("seed: 3", "seed: -3"), "not negative");
  EXPECT_SAYS(complaint("steps: 10", "steps: [10]"), "steps must be a whole number");
  EXPECT_SAYS(complaint("2GiB", "much"), "elastic.worker_memory is 'much'");
  EXPECT_SAYS(complaint("learning_rate: 1e-3", "learning_rate: .nan"), "finite");
  EXPECT_SAYS(complaint("elastic:\n  max_groups: 2\n  worker_memory: 2GiB\n  load_gain: 0.25", "elastic: 4"),
              "elastic must be a mapping");
}

TEST_F(JobFileTest, data_may_be_several_sets_with_weights) {
  std::string text = kGood;
  const std::string one = "data: data/text\n";
  text.replace(text.find(one), one.size(), "data:\n  - path: data/web\n    weight: 0.9\n  - path: /data/books\n");
  auto file = load(text);
  ASSERT_TRUE(file) << file.error().context;
  EXPECT_EQ(file->job.data_prefix, "");
  EXPECT_EQ(file->job.data_mix, (std::vector<DataSource>{{(dir / "data/web").string(), 0.9}, {"/data/books", 1}}));
  EXPECT_EQ(data_sources(file->job), file->job.data_mix);
  const std::string from = "data: data/text";
  EXPECT_EQ(complaint(from, "data: [{path: data/text}]"), "");
  EXPECT_SAYS(complaint(from, "data: []"), "data is an empty list");
  EXPECT_SAYS(complaint(from, "data: [{path: a}, {path: b, weight: 0}]"), "data[1].weight must be above 0");
  EXPECT_SAYS(complaint(from, "data: [{path: a}, {weight: 1}]"), "data[1].path is missing");
  EXPECT_SAYS(complaint(from, "data: [{path: a}, {path: b, wieght: 1}]"),
              "data[1].wieght is not a key here; did you mean weight?");
  EXPECT_SAYS(complaint(from, "data: [{path: a}, {path: b, weight: 1e-7}]"), "data[1].weight is less than 1 / 65536");
  EXPECT_SAYS(complaint(from, "data: [a, b]"), "job.yaml:3: data[0] must be a mapping: write `path: a`");
  std::ofstream(dir / "set.idx") << "";
  EXPECT_SAYS(complaint(from, "data: set.bin"), "data is 'set.bin', one file of a set; give the prefix of all: set");
  EXPECT_SAYS(complaint(from, "data: [{path: set.idx}, {path: b}]"), "give the prefix of all: set");
  text = kGood;
  text.replace(text.find(one), one.size(), "data: [{path: a}, {path: b}, {path: ./a}]\n");
  file = load(text);
  ASSERT_TRUE(file) << file.error().context;
  ASSERT_EQ(file->notes.size(), 1u);
  EXPECT_SAYS(file->notes[0], (dir / "a").string() + " stands in the mixture twice");
  EXPECT_FALSE(file->job.separate_documents);
  EXPECT_EQ(complaint(from, from + "\nseparate_documents: true"), "");
  EXPECT_SAYS(complaint(from, from + "\nseparate_documents: 3"), "separate_documents");
}

TEST_F(JobFileTest, precision_and_recompute_are_words) {
  std::string text = kGood;
  text.replace(text.find("seed: 3"), 7, "seed: 3\nprecision: bf16\nrecompute: full");
  auto file = load(text);
  ASSERT_TRUE(file) << file.error().context;
  EXPECT_EQ(file->job.precision, Precision::kBf16);
  EXPECT_EQ(file->job.recompute, Recompute::kFull);
  EXPECT_SAYS(complaint("seed: 3", "seed: 3\nprecision: fp16"), "precision");
  EXPECT_SAYS(complaint("seed: 3", "seed: 3\nrecompute: some"), "recompute");
}

TEST_F(JobFileTest, a_number_with_a_leading_zero_is_not_read_as_octal) {
  for (const auto& [from, to] : {std::pair{"steps: 10", "steps: 010"}, {"seed: 3", "seed: 003"}})
    EXPECT_SAYS(complaint(from, to), "without a leading 0");
  EXPECT_EQ(complaint("seed: 3", "seed: 0"), "");
  EXPECT_SAYS(complaint("learning_rate: 1e-3", "learning_rate: 1e39"), "which fp32 cannot hold");
  EXPECT_SAYS(complaint("worker_memory: 2GiB", "worker_memory: 0"), "elastic.worker_memory is 0");
  EXPECT_SAYS(complaint("dir: ckpt", "dir: ''"), "snapshots.dir is empty");
  EXPECT_SAYS(complaint("dir: ckpt", "dir: \"a\\0b\""), "snapshots.dir holds a NUL");
}

TEST_F(JobFileTest, what_contradicts_other_keys_is_named_with_its_line) {
  EXPECT_SAYS(complaint("name: good", "name: Good"), "job.yaml:1: name must be");
  EXPECT_SAYS(complaint("sequences_per_microbatch: 1", "sequences_per_microbatch: 0"),
              "job.yaml:15: sequences_per_microbatch must be at least 1");
  EXPECT_SAYS(complaint("  num_experts_per_tok: 2", "  num_experts_per_tok: 9"),
              "job.yaml:12: model: num_experts_per_tok (9)");
  EXPECT_SAYS(complaint("  dir: ckpt", "  dir: ckpt\n  keep_last: 0"), "job.yaml:27: snapshots.keep_last");
  EXPECT_SAYS(complaint("seed: 3", "chains: 3"), "job.yaml:2: chains must be a power of two");
}

TEST_F(JobFileTest, steps_whose_learning_rate_is_0_are_noted) {
  std::string text = kGood;
  text.replace(text.find("linear"), 6, "linear\n  schedule_steps: 8");
  const auto file = load(text);
  ASSERT_TRUE(file) << file.error().context;
  ASSERT_EQ(file->notes.size(), 1u);
  EXPECT_SAYS(file->notes[0], "behind step 8 (optimizer.schedule_steps) the learning rate is 0");
  text.replace(text.find("linear"), 6, "linear\n  min_learning_rate: 1e-5");
  EXPECT_TRUE(load(text)->notes.empty());
}

TEST_F(JobFileTest, a_named_pipe_is_not_waited_for) {
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_SAYS(load_job((dir / "pipe").string()).error().context, "it is a named pipe");
  EXPECT_SAYS(load_job(dir.string()).error().context, "it is a directory");
}

TEST_F(JobFileTest, a_key_given_twice_is_refused) {
  EXPECT_SAYS(complaint("seed: 3", "seed: 3\nseed: 4"), "seed is given twice");
}

TEST_F(JobFileTest, contradictions_are_refused) {
  EXPECT_SAYS(complaint("steps: 10", "steps: 10\nchains: 3"), "chains");
  EXPECT_SAYS(complaint("microbatches: 8", "microbatches: 8\nchains: 16"), "chains");
  EXPECT_SAYS(complaint("max_groups: 2", "max_groups: 9"), "groups");
  EXPECT_SAYS(complaint("hidden_size: 64", "hidden_size: 65"), "hidden_size");
  EXPECT_SAYS(complaint("num_experts_per_tok: 2", "num_experts_per_tok: 5"), "num_experts_per_tok");
  EXPECT_SAYS(complaint("dir: ckpt", "checkpoint_every_steps: 4"), "snapshots.dir is not");
  EXPECT_SAYS(complaint("name: good", "name: Not/Good"), "name");
}

TEST_F(JobFileTest, chains_default_to_a_power_of_two_that_divides_the_microbatches) {
  const auto chains = [&](int microbatches, int groups) {
    std::string text = kGood;
    text.replace(text.find("microbatches: 8"), 15, "microbatches: " + std::to_string(microbatches));
    text.replace(text.find("max_groups: 2"), 13, "max_groups: " + std::to_string(groups));
    auto file = load(text);
    return file ? file->job.chains : -1;
  };
  EXPECT_EQ(chains(64, 2), 8);
  EXPECT_EQ(chains(64, 3), 8);
  EXPECT_EQ(chains(12, 2), 4);
  EXPECT_EQ(chains(4, 2), 4);
}

TEST_F(JobFileTest, without_a_word_on_groups_there_are_as_many_as_the_microbatches_allow) {
  const auto groups = [&](const std::string& microbatches) {
    std::string text = kGood;
    text.replace(text.find("microbatches: 8"), 15, "microbatches: " + microbatches);
    text.replace(text.find("max_groups: 2"), 13, "min_nodes: 1");
    auto file = load(text);
    return file ? std::to_string(file->job.elastic.max_groups) : file.error().context;
  };
  EXPECT_EQ(groups("1"), "1");
  EXPECT_EQ(groups("7"), "1");
  EXPECT_EQ(groups("6"), "2");
  EXPECT_EQ(groups("8\nchains: 1"), "1");
  EXPECT_SAYS(complaint("microbatches: 8", "microbatches: 7"),
              "elastic.max_groups is 2, but microbatches (7) can be cut for 1 at most");
}

TEST_F(JobFileTest, what_is_not_yaml_or_not_there_is_refused) {
  EXPECT_SAYS(complaint("seed: 3", "seed: [3"), "not YAML");
  EXPECT_SAYS(load("- a\n- b\n").error().context, "must be a mapping");
  EXPECT_SAYS(load("").error().context, "must be a mapping");
  auto absent = load_job((dir / "absent.yaml").string());
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Code::kNotFound);
  EXPECT_FALSE(load_job(dir.string()));
}

// Every key that the source asks its sections for, in a cell of the page.
TEST(Examples, the_page_of_the_job_file_has_every_key) {
  const auto text_of = [](const std::string& path) {
    std::ifstream in(std::string(REGROUP_SOURCE_DIR) + path);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const std::string source = text_of("/cli/job/job_file.cpp") + text_of("/cli/job/model_section.cpp");
  const std::string page = text_of("/docs/job-file.md");
  const std::regex asked(R"re(\.(?:read|read_bytes|read_word|require|section|find)\("([a-z0-9_]+)")re");
  int keys = 0;
  for (auto key = std::sregex_iterator(source.begin(), source.end(), asked); key != std::sregex_iterator();
       ++key, ++keys)
    EXPECT_NE(page.find("`" + (*key)[1].str() + "`"), std::string::npos) << (*key)[1] << " is not in docs/job-file.md";
  EXPECT_GT(keys, 50);
}

TEST(Examples, every_job_file_is_good) {
  int jobs = 0;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(REGROUP_SOURCE_DIR) / "examples")) {
    if (entry.path().filename() != "job.yaml") continue;
    ++jobs;
    auto file = load_job(entry.path().string(), "/as-local-gives-it");
    EXPECT_TRUE(file) << file.error().context;
    if (!file) continue;
    const std::int64_t parameters = count_parameters(file->job.model);
    if (file->job.name == "tiny") {
      EXPECT_NEAR(static_cast<double>(parameters), 2e6, 2e5);
    }
    if (file->job.name == "small") {
      EXPECT_NEAR(static_cast<double>(parameters), 13.6e6, 1e5);
    }
    if (file->job.name == "demo") {
      EXPECT_GE(parameters, 10'000'000);
    }
  }
  EXPECT_GE(jobs, 3);
}

}  // namespace
}  // namespace regroup::cli
