#include "cli/data/show_command.hpp"

#include "cli/job/job_samples.hpp"
#include "moe/data/dataset.hpp"
#include "moe/data/mapped_file.hpp"
#include "moe/data/prepare/sentencepiece_tokenizer.hpp"
#include "moe/data/set_record.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

namespace regroup::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kAnyVocabulary = std::int64_t{1} << 31;

// The tokenizer that the set's record names, if it is there and is still that one.
std::shared_ptr<const Tokenizer> tokenizer_of(const std::string& prefix) {
  const auto file = MappedFile::open(prefix + ".json");
  if (!file) return nullptr;
  const auto record = read_set_record({file->bytes().data(), file->bytes().size()}, file->path());
  if (!record) return nullptr;
  if (record->tokenizer == "bytes") return byte_tokenizer();
  auto tokenizer = sentencepiece_tokenizer(record->tokenizer_path);
  return tokenizer && (*tokenizer)->record().xxh3 == record->tokenizer_xxh3 ? *tokenizer : nullptr;
}

// Of a set, not of a job: no microbatches.
Result<JobSamples> shown_by(const ShowArguments& arguments) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path path = arguments.what;
  if (!fs::exists(path.string() + ".idx", error) && fs::exists(path, error)) {
    if (path.has_extension() && fs::exists(fs::path(path).replace_extension(".idx"), error))
      return Error{Code::kBadInput, arguments.what + " is one file of a set; give the prefix of all: " +
                                        fs::path(path).replace_extension().string()};
    if (arguments.seed || arguments.sequence_length)
      return Error{Code::kBadInput, "a job file says itself what seed and sequence_length are"};
    return load_samples(arguments.what);
  }
  if (!fs::exists(path.string() + ".idx", error))
    return Error{Code::kNotFound,
                 "there is neither a job file " + arguments.what + " nor a set " + arguments.what + ".idx"};
  if (!arguments.sequence_length)
    return Error{Code::kBadInput, arguments.what + " is a set: --sequence-length must say how long a sample is"};
  JobSamples set;
  set.sources = {{arguments.what, 1}};
  set.seed = arguments.seed.value_or(0);
  set.sequence_length = *arguments.sequence_length;
  return set;
}

Result<void> show(const ShowArguments& arguments, Json& json) {
  const auto shown = shown_by(arguments);
  if (!shown) return shown.error();
  const auto data = Dataset::open(shown->sources, kAnyVocabulary, shown->sequence_length, shown->seed);
  if (!data) return data.error();
  std::vector<std::int64_t> wide(static_cast<std::size_t>(shown->sequence_length) + 1);
  if (auto filled = (*data)->fill(arguments.sample, wide); !filled) return filled.error();
  std::vector<std::int32_t> starts;
  (*data)->document_starts(arguments.sample, starts);
  const SamplePlace place = (*data)->where(arguments.sample);
  const std::vector<std::int32_t> tokens(wide.begin(), wide.end());

  json["sample"] = arguments.sample;
  if (shown->microbatches > 0) {
    const std::int64_t microbatch = arguments.sample / shown->sequences_per_microbatch;
    json["step"] = microbatch / shown->microbatches + 1;
    json["microbatch"] = microbatch % shown->microbatches;
    json["sequence_of_microbatch"] = arguments.sample % shown->sequences_per_microbatch;
  }
  json["prefix"] = place.prefix;
  json["data_epoch"] = place.data_epoch;
  json["sequence"] = place.sequence;
  json["first_token"] = place.first_token;
  json["document"] = place.document;
  json["document_starts"] = starts;
  json["tokens"] = tokens;
  json["texts"] = nullptr;  // of each document in it
  if (const auto tokenizer = tokenizer_of(place.prefix)) {
    json["texts"] = Json::array();
    for (std::size_t i = 0; i < starts.size(); ++i) {
      const auto first = static_cast<std::size_t>(starts[i]);
      const std::size_t end = i + 1 < starts.size() ? static_cast<std::size_t>(starts[i + 1]) : tokens.size();
      json["texts"].push_back(tokenizer->text_of(std::span(tokens).subspan(first, end - first)));
    }
  }
  return {};
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

void print(const Json& json) {
  std::printf("sample %s", dump(json["sample"]).c_str());
  if (json.contains("step"))
    std::printf(": step %s, microbatch %s, sequence %s of it", dump(json["step"]).c_str(),
                dump(json["microbatch"]).c_str(), dump(json["sequence_of_microbatch"]).c_str());
  std::printf("\nsequence %s of %s, drawn in data epoch %s: tokens from %s on, in document %s\n",
              dump(json["sequence"]).c_str(), json["prefix"].get<std::string>().c_str(),
              dump(json["data_epoch"]).c_str(), dump(json["first_token"]).c_str(), dump(json["document"]).c_str());
  std::printf("documents begin at %s\ntokens %s\n", dump(json["document_starts"]).c_str(),
              dump(json["tokens"]).c_str());
  if (json["texts"].is_null()) std::printf("no text: the tokenizer that made the set is not known or not there\n");
  for (const Json& text : json["texts"]) std::printf("text %s\n", dump(text).c_str());
}

}  // namespace

int show_command(const ShowArguments& arguments) {
  Json json;
  if (const auto shown = show(arguments, json); !shown) {
    std::fprintf(stderr, "regroup data show: %s\n", shown.error().context.c_str());
    return 1;
  }
  if (arguments.json) {
    std::printf("%s\n", json.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  } else {
    print(json);
  }
  return 0;
}

}  // namespace regroup::cli
