#include "moe/data/prepare/prepare.hpp"

#include "moe/data/prepare/pipeline.hpp"
#include "moe/data/prepare/run_inputs.hpp"
#include "moe/data/set_record.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <thread>

namespace regroup {
namespace {

namespace fs = std::filesystem;

constexpr int kEmptyNamed = 5;

const char* word_of(TextFormat format) {
  switch (format) {
    case TextFormat::kAuto:
      return "auto";
    case TextFormat::kText:
      return "text";
    case TextFormat::kLines:
      return "lines";
    case TextFormat::kJsonl:
      return "jsonl";
  }
  return "?";
}

// Takes encoded parts in order and puts each document into its set, or says why not.
class Sorter {
 public:
  Sorter(const PrepareOptions& options, const Tokenizer& tokenizer, const std::vector<Input>& inputs, SetWriter& train,
         SetWriter* validation, PreparedData& made)
      : options_(options),
        end_(tokenizer.end_of_document()),
        inputs_(inputs),
        train_(train),
        validation_(validation),
        made_(made) {}

  Result<void> take(const EncodedBatch& batch) {
    for (const Note& note : batch.notes) say(options_, inputs_, note, num_notes_);
    std::span<const std::int32_t> tokens(batch.tokens);
    for (const EncodedPart& part : batch.parts) {
      if (auto taken = take(part, tokens.first(part.num_tokens)); !taken)
        return taken.error().code == Code::kBadInput ? said_of(part, taken.error().context) : taken;
      tokens = tokens.subspan(part.num_tokens);
    }
    return {};
  }
  std::int64_t num_documents = 0, num_tokens = 0;

 private:
  Result<void> take(const EncodedPart& part, std::span<const std::int32_t> tokens) {
    if (part.first) {
      set_ = validation_ != nullptr && part.split < options_.validation ? validation_ : &train_;
      lost_ = false;
      document_bytes_ = 0;
    }
    if (!part.problem.empty() && !lost_) {
      if (!options_.skip_bad) return Error{Code::kBadInput, part.problem + skip_advice(part.is_whole_input)};
      lost_ = true;
      ++made_.num_bad;
      complain(part, part.problem + ": left out");
      if (auto dropped = set_->drop_document(); !dropped) return dropped;
    }
    if (lost_) return {};
    document_bytes_ += static_cast<std::int64_t>(part.text_bytes);
    if (auto appended = set_->append(tokens); !appended) return appended;
    if (!part.last) return {};
    if (set_->document_tokens() == 0) {
      if (options_.refuse_empty) return Error{Code::kBadInput, "an empty document"};
      if (++made_.num_empty <= kEmptyNamed) complain(part, "an empty document: left out");
      return set_->drop_document();
    }
    num_tokens += set_->document_tokens() + 1;
    ++num_documents;
    made_.text_bytes += document_bytes_;
    return set_->end_document(end_);
  }
  [[nodiscard]] std::string said_of_text(const EncodedPart& part, const std::string& what) const {
    return name_of_input(inputs_[static_cast<std::size_t>(part.input)]) + ":" + std::to_string(part.line) + ": " + what;
  }
  [[nodiscard]] Error said_of(const EncodedPart& part, const std::string& what) const {
    return {Code::kBadInput, said_of_text(part, what)};
  }
  void complain(const EncodedPart& part, const std::string& what) const {
    if (options_.complain) options_.complain(said_of_text(part, what));
  }

  const PrepareOptions& options_;
  std::int32_t end_;
  const std::vector<Input>& inputs_;
  SetWriter& train_;
  SetWriter* validation_;
  PreparedData& made_;
  SetWriter* set_ = nullptr;
  bool lost_ = false;
  std::int64_t document_bytes_ = 0;
  int num_notes_ = 0;
};

std::string record_json(const PrepareOptions& options, const Tokenizer& tokenizer, const MadeSet& set,
                        const PreparedData& made, bool is_validation) {
  const TokenizerRecord record = tokenizer.record();
  nlohmann::ordered_json json;
  json["format"] = kPreparedFormat;
  json["tokenizer"] = record.kind;
  if (!record.path.empty()) {
    json["tokenizer_path"] = record.path;
    json["tokenizer_xxh3"] = record.xxh3;
  }
  json["vocab_size"] = tokenizer.vocab_size();
  json["token_type"] = tokenizer.vocab_size() <= 65536 ? "uint16" : "int32";
  json["end_of_sequence"] = tokenizer.end_of_document();
  json["inputs"] = options.inputs;
  json["input_format"] = word_of(options.format);
  if (options.format == TextFormat::kAuto || options.format == TextFormat::kJsonl) json["field"] = options.field;
  json["split"] = is_validation ? "validation" : "train";
  json["validation_share"] = options.validation;
  json["num_documents"] = set.num_documents;
  json["num_tokens"] = set.num_tokens;
  json["num_empty"] = made.num_empty;
  json["num_bad"] = made.num_bad;
  json["max_token"] = set.max_token;
  json["bin_xxh3"] = set.bin_xxh3;
  json["idx_xxh3"] = set.idx_xxh3;
  json["sums_xxh3"] = set.sums_xxh3;
  return json.dump(2, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
}

int threads_of(const PrepareOptions& options) {
  return options.threads > 0 ? options.threads : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

Result<void> check(const PrepareOptions& options) {
  if (!(options.validation >= 0 && options.validation < 1))
    return Error{Code::kBadInput, "the validation share must be at least 0 and below 1"};
  std::error_code error;
  const auto out = fs::status(options.prefix, error);
  if (error && out.type() != fs::file_type::not_found)
    return Error{Code::kBadInput, "--out " + options.prefix + ": " + error.message()};
  if (fs::path(options.prefix).filename().empty() || fs::is_directory(out))
    return Error{Code::kBadInput, "'" + options.prefix + "' is a directory, expected the beginning of the names of " +
                                      "files: " + (fs::path(options.prefix) / "data").lexically_normal().string() +
                                      " makes data.bin and others in it"};
  if (options.any_bytes && options.tokenizer && options.tokenizer->record().kind != "bytes")
    return Error{Code::kBadInput, "only the tokenizer bytes takes text that is not UTF-8"};
  return {};
}

}  // namespace

Result<PreparedData> prepare(const PrepareOptions& options) {
  if (auto good = check(options); !good) return good.error();
  if (auto free = refuse_files_of_others(options.prefix); !free) return free.error();
  if (options.validation > 0)
    if (auto free = refuse_files_of_others(options.prefix + "-validation"); !free) return free.error();
  auto inputs = inputs_of(options);
  if (!inputs) return inputs.error();
  const std::shared_ptr<const Tokenizer> tokenizer = options.tokenizer ? options.tokenizer : byte_tokenizer();
  std::error_code error;
  fs::create_directories(fs::absolute(options.prefix).parent_path(), error);
  if (error)
    return Error{Code::kUnavailable, "cannot make the directory of " + options.prefix + ": " + error.message()};

  SetWriter train(options.prefix, tokenizer->vocab_size());
  std::optional<SetWriter> validation;
  if (options.validation > 0) validation.emplace(options.prefix + "-validation", tokenizer->vocab_size());
  if (auto created = train.create(); !created) return created.error();
  if (validation)
    if (auto created = validation->create(); !created) return created.error();

  PreparedData made;
  PrepareProgress progress;
  for (const Input& input : *inputs) progress.bytes_total += input.bytes;
  if (std::any_of(inputs->begin(), inputs->end(), [](const Input& input) { return input.path == "-"; }))
    progress.bytes_total = 0;
  std::atomic<bool> stop{false};
  DocumentReader reader(*inputs, options.format, options.any_bytes, *tokenizer, stop);
  Sorter sorter(options, *tokenizer, *inputs, train, validation ? &*validation : nullptr, made);
  const EncodeOptions encode_options{options.field, options.any_bytes};
  const auto encoded = encode_in_order(reader, stop, *tokenizer, encode_options, threads_of(options),
                                       [&](EncodedBatch& batch) -> Result<void> {
                                         if (auto taken = sorter.take(batch); !taken) return taken;
                                         progress.bytes_done = batch.bytes_done;
                                         progress.num_documents = sorter.num_documents;
                                         progress.num_tokens = sorter.num_tokens;
                                         if (options.progress) options.progress(progress);
                                         return {};
                                       });
  if (!encoded) return encoded.error();
  if (sorter.num_tokens == 0) return Error{Code::kBadInput, "the inputs hold no text"};

  auto finished = train.finish();
  if (!finished) return finished.error();
  made.train = *finished;
  if (validation) {
    auto held_out = validation->finish();
    if (!held_out) return held_out.error();
    made.validation = *held_out;
    for (const MadeSet* set : {&made.train, &*made.validation})
      if (set->num_documents == 0)
        return Error{Code::kBadInput,
                     "none of the " + std::to_string(sorter.num_documents) + " documents fell into " + set->prefix +
                         ": give more documents (--format lines makes one of each line), or another --validation"};
    if (auto committed = validation->commit(record_json(options, *tokenizer, *made.validation, made, true)); !committed)
      return committed.error();
  }
  if (auto committed = train.commit(record_json(options, *tokenizer, made.train, made, false)); !committed)
    return committed.error();
  return made;
}

}  // namespace regroup
