#include "cli/job/job_tokenizer.hpp"

#include "base/hex.hpp"
#include "checkpoint/io/companions.hpp"
#include "checkpoint/io/extent_checksums.hpp"
#include "checkpoint/io/posix_file.hpp"
#include "moe/data/mapped_file.hpp"
#include "moe/data/set_record.hpp"

#include <algorithm>

namespace regroup::cli {
namespace {

constexpr const char* kModelFile = "tokenizer.model";

std::string sum_of_file(const std::string& path) {
  const auto text = checkpoint::read_small_file(path);
  return text ? to_hex(checkpoint::checksum(std::as_bytes(std::span(*text)))) : std::string();
}

// Of the first set: those of a mixture are the same. Nothing where nobody wrote down what made it.
SetRecord record_of_data(const JobSpec& job) {
  const auto file = MappedFile::open(data_sources(job).front().prefix + ".json");
  if (!file) return {};
  auto record = read_set_record({file->bytes().data(), file->bytes().size()}, file->path());
  return record ? std::move(*record) : SetRecord{};
}

}  // namespace

std::vector<std::string> pin_tokenizer(JobSpec& job) {
  job.tokenizer.clear();
  const SetRecord data = record_of_data(job);
  if (data.tokenizer.empty()) return {};
  const bool is_bytes = data.tokenizer == "bytes";
  const std::string made_with =
      is_bytes ? "as bytes, without a tokenizer"
               : "with the SentencePiece model " + data.tokenizer_path + " (" + data.tokenizer_xxh3 + ")";
  const bool is_there = data.tokenizer_path.starts_with('/') && sum_of_file(data.tokenizer_path) == data.tokenizer_xxh3;
  const std::string of_data = is_there ? data.tokenizer_path : kNoTokenizer;
  const std::string& directory = job.initial_weights;
  if (directory.empty() || !checkpoint::has_tokenizer(directory)) {
    if (is_there) job.tokenizer = of_data;
    return {};
  }
  const std::string of_weights = sum_of_file(directory + "/" + kModelFile);
  // a tokenizer.json alone does not say what its SentencePiece model was
  if (!is_bytes && (of_weights.empty() || of_weights == data.tokenizer_xxh3)) return {};
  job.tokenizer = of_data;
  return {"the data " + data_sources(job).front().prefix + " was made " + made_with + ", but the weights in " +
          directory + " have a tokenizer of their own" +
          (is_bytes ? "" : ", " + std::string(kModelFile) + " (" + of_weights + ")") +
          ": they see tokens that they do not know. To train them further prepare the data with --tokenizer; "
          "checkpoints get " +
          (is_there ? "the data's tokenizer" : "no tokenizer")};
}

}  // namespace regroup::cli
