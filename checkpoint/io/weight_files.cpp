#include "checkpoint/io/weight_files.hpp"

#include "base/json_fields.hpp"
#include "checkpoint/core/hugging_face.hpp"
#include "checkpoint/io/posix_file.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

namespace regroup::checkpoint {
namespace {

namespace fs = std::filesystem;

TensorFiles read_weight_map(const json::Field& in) {
  TensorFiles files;
  for (const auto& [tensor, file] : in["weight_map"].members()) {
    const std::string name = file.string();
    if (name.empty() || name.find('/') != std::string::npos) file.fail("is '" + name + "', which is no file name");
    files[tensor] = name;
  }
  if (files.empty()) in["weight_map"].fail("names no tensor");
  return files;
}

std::vector<std::string> sorted_names(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

bool is_there(const std::string& path) { return why_absent(path).empty(); }

bool has_model(const std::string& directory) {
  return is_there(directory + "/" + kOneFileName) || is_there(directory + "/" + kIndexName);
}

// model-00001-of-00002.safetensors
bool is_shard(const std::string& name) {
  return name.starts_with("model-") && name.find("-of-") != std::string::npos && name.ends_with(".safetensors");
}

bool has_one_end(const std::string& name, std::initializer_list<const char*> ends) {
  return std::any_of(ends.begin(), ends.end(), [&](const char* end) { return name.ends_with(end); });
}

// What a person may have taken for weights; empty for anything else.
std::string form_of(const std::string& name) {
  if (has_one_end(name, {".incomplete", ".part", ".partial", ".crdownload", ".aria2", ".download"}))
    return "an unfinished download";
  if (name.starts_with("adapter_")) return "an adapter: merge it into its base model first";
  if (is_shard(name)) return std::string("a shard whose ") + kIndexName + " is not there";
  if (name.starts_with("consolidated")) return "Mistral's own form: take the model-*.safetensors of transformers";
  if (name.starts_with("model") && has_one_end(name, {".safetensors", ".index.json"}))
    return std::string("a variant: rename it, transformers opens ") + kOneFileName + " alone";
  if (name.ends_with(".safetensors")) return "under a name that transformers does not open";
  if (name.ends_with(".gguf") || name.ends_with(".ggml")) return "llama.cpp's form, which is not read";
  if (has_one_end(name, {".bin", ".pt", ".pth", ".ckpt", ".bin.index.json"}))
    return "pickled by PyTorch, which is not read: save the model as safetensors";
  if (has_one_end(name, {".h5", ".msgpack", ".onnx", ".npz", ".distcp"})) return "not read: save as safetensors";
  return {};
}

std::string what_it_is(const std::string& directory, const std::string& name) {
  const std::string path = directory + "/" + name;
  const bool is_meant = name == kOneFileName || name == kIndexName;
  std::error_code ignored;
  if (fs::is_directory(path, ignored) && !is_meant) {
    for (const std::string& inner : name == "snapshots" ? sorted_names(path) : std::vector<std::string>())
      if (has_model(path + "/" + inner)) return name + "/" + inner + " (holds weights: name that directory)";
    return has_model(path) ? name + " (a directory that holds weights: name that one)" : "";
  }
  std::string form = form_of(name);
  if (form.empty() && !is_meant) return {};
  if (const std::string absent = why_absent(path); !absent.empty()) form = absent;
  return name + " (" + form + ")";
}

std::string what_is_there(const std::string& directory) {
  constexpr std::size_t kSaid = 4;
  std::vector<std::string> found;
  for (const std::string& name : sorted_names(directory))
    if (std::string what = what_it_is(directory, name); !what.empty()) found.push_back(std::move(what));
  if (found.empty()) return {};
  std::string text = "; there: ";
  for (std::size_t i = 0; i < std::min(kSaid, found.size()); ++i) text += (i > 0 ? ", " : "") + found[i];
  return text + (found.size() > kSaid ? " and " + std::to_string(found.size() - kSaid) + " more" : "");
}

// Under names as transformers gives weights, yet not among those that are read.
std::vector<std::string> left_aside(const std::string& directory, const WeightFiles& chosen) {
  std::set<std::string> read;
  if (!chosen.indexed) read.insert(kOneFileName);
  for (const auto& [tensor, file] : chosen.index) read.insert(file);
  std::string aside;
  for (const std::string& name : sorted_names(directory)) {
    const bool is_other = name.starts_with("model") && name.ends_with(".safetensors") && !read.contains(name);
    if (!is_other && !(name == kIndexName && !chosen.indexed)) continue;
    aside += (aside.empty() ? "" : ", ") + name;
  }
  if (aside.empty()) return {};
  return {"the weights are read from " + directory + "/" + (chosen.indexed ? kIndexName : kOneFileName) +
          ", as transformers does; not from " + aside + " beside it"};
}

}  // namespace

std::string why_absent(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) return S_ISREG(info.st_mode) ? "" : "is no regular file";
  const int error = errno;
  std::error_code ignored;
  const fs::path target = fs::read_symlink(path, ignored);
  if (!target.empty() && error == ENOENT)
    return "is a link to " + target.string() + ", which is not there (an unfinished download or copy?)";
  return error == ENOENT ? "is missing" : "cannot be read: " + std::generic_category().message(error);
}

Result<WeightFiles> choose_weight_files(const std::string& directory) {
  const std::string index = directory + "/" + kIndexName;
  WeightFiles chosen;
  chosen.indexed = !is_there(directory + "/" + kOneFileName);
  if (chosen.indexed && !is_there(index))
    return Error{Code::kNotFound, directory + " holds no weights that are read here (" + kOneFileName + ", or " +
                                      kIndexName + " with its shards)" + what_is_there(directory)};
  if (is_there(directory + "/adapter_config.json"))
    return Error{Code::kBadInput, directory + " holds an adapter (adapter_config.json) beside the model, which " +
                                      "would not be applied: merge it into the model, or take it away"};
  if (chosen.indexed) {
    auto text = read_small_file(index);
    if (!text) return text.error();
    auto files = json::read_json(*text, index, read_weight_map);
    if (!files) return files.error();
    chosen.index = std::move(*files);
  }
  chosen.notes = left_aside(directory, chosen);
  return chosen;
}

}  // namespace regroup::checkpoint
