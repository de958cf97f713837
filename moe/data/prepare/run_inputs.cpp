#include "moe/data/prepare/run_inputs.hpp"

#include "moe/data/mapped_file.hpp"
#include "moe/data/prepare/encode_batch.hpp"
#include "moe/data/set_record.hpp"

#include <filesystem>

namespace regroup {
namespace {

namespace fs = std::filesystem;

constexpr int kNotesSaid = 5;
constexpr std::uintmax_t kLongestRecord = 16 << 20;

bool is_record(const std::string& path) {
  std::error_code error;
  if (fs::file_size(path, error) > kLongestRecord) return false;
  const auto file = MappedFile::open(path);
  return file && read_set_record({file->bytes().data(), file->bytes().size()}, path);
}

}  // namespace

std::string name_of_input(const Input& input) { return input.path == "-" ? "standard input" : input.path; }

Result<std::vector<Input>> inputs_of(const PrepareOptions& options) {
  std::vector<std::string> own = options.no_inputs;
  if (options.tokenizer && !options.tokenizer->record().path.empty()) own.push_back(options.tokenizer->record().path);
  for (const char* set : {"", "-validation"})
    for (const char* ending : {".bin", ".sums", ".idx", ".json"})
      if (!options.prefix.empty()) own.push_back(options.prefix + set + ending);
  auto list = list_inputs(options.inputs, own);
  if (!list) return list.error();
  if (!list->left_out.empty() && options.complain)
    options.complain(
        "no inputs, as this command writes or uses them or they are prepared data: " + list->left_out.front() +
        (list->left_out.size() == 1 ? "" : " and " + std::to_string(list->left_out.size() - 1) + " more") +
        ": left out");
  if (!list->not_followed.empty() && options.complain)
    options.complain(list->not_followed.front() + ": a link to a directory, which is not followed" +
                     (list->not_followed.size() == 1 ? "" : " (there are more)") + ": name it to read what is there");
  if (!list->no_files.empty() && options.complain)
    options.complain(list->no_files.front() + ": a pipe, socket or device" +
                     (list->no_files.size() == 1 ? "" : " (there are more)") + ": left out");
  return std::move(list->inputs);
}

void say(const PrepareOptions& options, const std::vector<Input>& inputs, const Note& note, int& num_said) {
  if (!options.complain || ++num_said > kNotesSaid + 1) return;
  options.complain(num_said > kNotesSaid
                       ? "other inputs are like these; they are not named"
                       : name_of_input(inputs[static_cast<std::size_t>(note.input)]) + ": " + note.text);
}

Result<void> refuse_files_of_others(const std::string& prefix) {
  std::error_code error;
  for (const char* ending : {".json", ".idx"})
    if (const std::string path = prefix + ending;
        fs::exists(path, error) && !is_prepared_data(prefix) && !is_record(prefix + ".json"))
      return Error{Code::kBadInput, path +
                                        " is there and is no prepared data: it would be overwritten; choose another "
                                        "--out, or remove it"};
  return {};
}

Result<void> for_each_text(const PrepareOptions& options, const std::function<bool(std::string_view)>& take) {
  auto inputs = inputs_of(options);
  if (!inputs) return inputs.error();
  const auto bytes = byte_tokenizer();
  std::atomic<bool> stop{false};
  DocumentReader reader(*inputs, options.format, false, *bytes, stop);
  const EncodeOptions encode_options{options.field, false};
  Batch batch;
  std::string scratch, problem;
  int num_notes = 0;
  for (;;) {
    auto more = reader.next(batch);
    if (!more) return more.error();
    if (!*more) return {};
    for (const Note& note : batch.notes) say(options, *inputs, note, num_notes);
    for (const Part& part : batch.parts) {
      std::int64_t line = 0;
      const std::string_view text = text_of(batch, part, encode_options, scratch, problem, line);
      if (!problem.empty()) {
        const std::string said = name_of_input((*inputs)[static_cast<std::size_t>(part.input)]) + ":" +
                                 std::to_string(line) + ": " + problem;
        if (!options.skip_bad) return Error{Code::kBadInput, said + skip_advice(part.is_whole_input)};
        if (options.complain) options.complain(said + ": left out");
      }
      if (!text.empty() && !take(text)) return {};
    }
  }
}

}  // namespace regroup
