#include "cli/data/data_commands.hpp"

#include "base/whole_number.hpp"
#include "cli/data/show_command.hpp"
#include "cli/job/progress_line.hpp"
#include "moe/data/dataset.hpp"
#include "moe/data/prepare/prepare.hpp"
#include "moe/data/prepare/sentencepiece_tokenizer.hpp"
#include "moe/data/prepare/train_tokenizer.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <memory>

namespace regroup::cli {
namespace {

using Json = nlohmann::ordered_json;

struct PrepareArguments {
  PrepareOptions options;
  std::string tokenizer = "bytes";
  bool json = false;
};

int failed(const char* command, const Error& error) {
  std::fprintf(stderr, "regroup data %s: %s\n", command, error.context.c_str());
  return 1;
}

Json json_of(const MadeSet& set) {
  return {{"prefix", set.prefix},       {"num_documents", set.num_documents}, {"num_tokens", set.num_tokens},
          {"max_token", set.max_token}, {"bin_xxh3", set.bin_xxh3},           {"idx_xxh3", set.idx_xxh3}};
}

void print(const MadeSet& set) {
  std::printf("%s.bin: %lld tokens in %lld documents\n", set.prefix.c_str(), static_cast<long long>(set.num_tokens),
              static_cast<long long>(set.num_documents));
}

int prepare_command(PrepareArguments& arguments) {
  if (arguments.tokenizer != "bytes") {
    auto tokenizer = sentencepiece_tokenizer(arguments.tokenizer);
    if (!tokenizer) return failed("prepare", tokenizer.error());
    arguments.options.tokenizer = *tokenizer;
  }
  Result<PreparedData> made = Error{};
  {
    ProgressLine line;
    arguments.options.progress = [&](const PrepareProgress& progress) {
      line.show_bytes("", progress.bytes_done, progress.bytes_total,
                      std::to_string(progress.num_documents) + " documents");
    };
    arguments.options.complain = [&](const std::string& problem) { line.say("regroup data prepare: " + problem); };
    made = prepare(arguments.options);
  }
  if (!made) return failed("prepare", made.error());
  if (arguments.json) {
    Json out = json_of(made->train);
    if (made->validation) out["validation"] = json_of(*made->validation);
    out["num_empty"] = made->num_empty;
    out["num_bad"] = made->num_bad;
    out["text_bytes"] = made->text_bytes;
    std::printf("%s\n", out.dump(2, ' ', true, Json::error_handler_t::replace).c_str());
    return 0;
  }
  print(made->train);
  if (made->validation) print(*made->validation);
  if (made->num_empty + made->num_bad > 0)
    std::printf("left out: %lld empty documents, %lld broken ones\n", static_cast<long long>(made->num_empty),
                static_cast<long long>(made->num_bad));
  return 0;
}

struct TrainArguments {
  TrainTokenizerOptions options;
  bool json = false;
};

int train_command(TrainArguments& arguments) {
  arguments.options.input.complain = [](const std::string& line) {
    std::fprintf(stderr, "regroup data train-tokenizer: %s\n", line.c_str());
  };
  const auto made = train_tokenizer(arguments.options);
  if (!made) return failed("train-tokenizer", made.error());
  const std::string& out = arguments.options.out;
  if (arguments.json) {
    const Json json = {{"model", out},
                       {"vocab_size", made->vocab_size},
                       {"num_lines", made->num_lines},
                       {"num_learned", made->num_learned}};
    std::printf("%s\n", json.dump(2, ' ', true, Json::error_handler_t::replace).c_str());
  } else {
    std::printf("%s: %lld pieces, learned from %lld of %lld lines\n", out.c_str(),
                static_cast<long long>(made->vocab_size), static_cast<long long>(made->num_learned),
                static_cast<long long>(made->num_lines));
  }
  return 0;
}

struct CheckArguments {
  std::string prefix;
  std::int64_t vocab_size = std::int64_t{1} << 31;
  bool json = false;
};

int check_command(const CheckArguments& arguments) {
  const auto data = Dataset::open(arguments.prefix, arguments.vocab_size, 1, 0);
  if (!data) return failed("check", data.error());
  if (const auto good = (*data)->verify(); !good) return failed("check", good.error());
  if (arguments.json) {
    const Json json = {{"prefix", arguments.prefix},
                       {"num_documents", (*data)->num_documents()},
                       {"num_tokens", (*data)->num_tokens()},
                       {"digest", (*data)->digest()}};
    std::printf("%s\n", json.dump(2, ' ', true, Json::error_handler_t::replace).c_str());
  } else {
    std::printf("%s.bin: %lld tokens in %lld documents, all good\n", arguments.prefix.c_str(),
                static_cast<long long>((*data)->num_tokens()), static_cast<long long>((*data)->num_documents()));
  }
  return 0;
}

void add_input_options(CLI::App& command, PrepareOptions& options) {
  command
      .add_option(
          "INPUT", options.inputs,
          "files, directories (all files below, by name), globs, or - for standard input; gzip, zstd, xz and bzip2 "
          "are unpacked")
      ->required();
  const std::map<std::string, TextFormat> formats{{"auto", TextFormat::kAuto},
                                                  {"text", TextFormat::kText},
                                                  {"lines", TextFormat::kLines},
                                                  {"jsonl", TextFormat::kJsonl}};
  command
      .add_option("--format", options.format,
                  "text: a file is a document; lines: each line is one; jsonl: one field of each line is one; auto: "
                  "jsonl for .jsonl, .ndjson, .json, else text")
      ->transform(CLI::CheckedTransformer(formats))
      ->option_text("auto|text|lines|jsonl");
  command.add_flag_callback(
      "--split-lines", [&options] { options.format = TextFormat::kLines; }, "the same as --format lines");
  command.add_option("--field", options.field, "of JSONL: which holds the text")->capture_default_str();
  command.add_flag(
      "--skip-bad", options.skip_bad,
      "leave out documents with broken UTF-8 or JSON, and what follows a damage in what was packed, and say "
      "which; else they are an error");
  command.add_option("--threads", options.threads, "0 = one a core; the result is the same for any number")
      ->check(whole_number<int>)
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
}

}  // namespace

void add_data_subcommands(CLI::App& data, std::function<int()>* run) {
  CLI::App* prepare = data.add_subcommand(
      "prepare",
      "text -> PREFIX.bin, PREFIX.idx (Megatron's form), PREFIX.sums (checksums), PREFIX.json (what made them)");
  auto arguments = std::make_shared<PrepareArguments>();
  PrepareOptions& options = arguments->options;
  add_input_options(*prepare, options);
  prepare->add_option("--out", options.prefix, "PREFIX of the four files; what a job file calls `data`")->required();
  prepare
      ->add_option("--tokenizer", arguments->tokenizer,
                   "a SentencePiece .model, or bytes: a token is a byte, 256 ends a document")
      ->capture_default_str();
  prepare
      ->add_option("--validation", options.validation,
                   "share of the documents, chosen by a hash of their text, that goes to PREFIX-validation instead, "
                   "such as 0.01")
      ->check(CLI::Range(0.0, 0.999999))
      ->capture_default_str();
  prepare->add_flag("--refuse-empty", options.refuse_empty,
                    "a document without text is an error; else it is left out and counted");
  prepare->add_flag("--any-bytes", options.any_bytes, "with the tokenizer bytes: text need not be UTF-8");
  prepare->add_flag("--json", arguments->json, "print the result as JSON");
  prepare->callback([run, arguments] { *run = [arguments] { return prepare_command(*arguments); }; });

  CLI::App* train = data.add_subcommand(
      "train-tokenizer",
      "text -> a SentencePiece model as Mixtral has one: BPE, bytes for unknown characters, digits apart");
  auto training = std::make_shared<TrainArguments>();
  add_input_options(*train, training->options.input);
  train->add_option("--out", training->options.out, "the .model")->required();
  train->add_option("--vocab-size", training->options.vocab_size, "pieces, of which 256 are bytes")
      ->capture_default_str()
      ->check(whole_number<decltype(training->options.vocab_size)>);
  train->add_flag("--unigram", training->options.unigram, "SentencePiece's unigram model instead of BPE");
  train
      ->add_option("--character-coverage", training->options.character_coverage,
                   "share of all characters that get pieces of their own")
      ->check(CLI::Range(0.9, 1.0))
      ->capture_default_str();
  train
      ->add_option("--max-lines", training->options.max_lines,
                   "learn from so many lines, drawn evenly: bounds memory and time")
      ->capture_default_str()
      ->check(whole_number<decltype(training->options.max_lines)>);
  train->add_flag("--json", training->json, "print the result as JSON");
  train->callback([run, training] { *run = [training] { return train_command(*training); }; });

  CLI::App* check = data.add_subcommand("check", "read a prepared set whole: sizes, checksums, token ids");
  auto checking = std::make_shared<CheckArguments>();
  check->add_option("PREFIX", checking->prefix, "of PREFIX.bin and PREFIX.idx, made here or by Megatron")->required();
  check->add_option("--vocab-size", checking->vocab_size, "every token must be below it")
      ->check(whole_number<std::int64_t>)
      ->check(CLI::PositiveNumber);
  check->add_flag("--json", checking->json, "print the result as JSON");
  check->callback([run, checking] { *run = [checking] { return check_command(*checking); }; });

  CLI::App* show = data.add_subcommand("show", "print a sample: its place in a step, its set, documents, tokens, text");
  auto showing = std::make_shared<ShowArguments>();
  show->add_option("JOB.yaml|PREFIX", showing->what, "a job file, or a prepared set")->required();
  show->add_option("--sample", showing->sample, "its number; of a job, step 1 begins with sample 0")
      ->required()
      ->check(whole_number<std::int64_t>)
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 62));
  show->add_option("--seed", showing->seed, "of a set: the job's; 0 unless given")->check(whole_number<std::uint64_t>);
  show->add_option("--sequence-length", showing->sequence_length, "of a set: the job's")
      ->check(whole_number<std::int64_t>)
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 30));
  show->add_flag("--json", showing->json, "print the result as JSON");
  show->callback([run, showing] { *run = [showing] { return show_command(*showing); }; });
}

}  // namespace regroup::cli
