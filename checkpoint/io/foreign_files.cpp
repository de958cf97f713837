#include "checkpoint/io/foreign_files.hpp"

#include "base/json_fields.hpp"
#include "checkpoint/io/posix_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace regroup::checkpoint {
namespace {

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

using TensorFiles = std::map<std::string, std::string>;  // tensor -> file name

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

Result<TensorFiles> read_index(const std::string& path) {
  auto text = read_small_file(path);
  if (!text) return text.error();
  return json::read_json(*text, path, read_weight_map);
}

Result<SafetensorsHeader> read_header(const std::string& path) {
  auto file = open_file(path, O_RDONLY);
  if (!file) return file.error();
  auto size = file_size(*file, path);
  if (!size) return size.error();
  std::string bytes(static_cast<std::size_t>(std::min<std::int64_t>(8, *size)), '\0');
  if (auto ok = read_at(file->fd(), path, std::as_writable_bytes(std::span(bytes)), 0); !ok) return ok.error();
  auto start = safetensors_data_start(bytes, *size);
  if (!start) return start.error().within(path);
  bytes.resize(static_cast<std::size_t>(*start));
  if (auto ok = read_at(file->fd(), path, std::as_writable_bytes(std::span(bytes)), 0); !ok) return ok.error();
  auto header = parse_safetensors_header(bytes, *size);
  if (!header) return header.error().within(path);
  return header;
}

Result<void> add_file(ForeignFiles& found, const std::string& path, SafetensorsHeader header) {
  const int number = static_cast<int>(found.files.size());
  for (const FileTensor& tensor : header.tensors) {
    const auto [at, fresh] = found.tensors.emplace(
        tensor.name, StoredTensor{number, header.data_start + tensor.begin, tensor.dtype, tensor.shape});
    if (!fresh)
      return Error{
          Code::kBadInput,
          tensor.name + " is in " + found.files[static_cast<std::size_t>(at->second.file)].path + " and in " + path};
  }
  found.files.push_back({path, std::move(header)});
  return {};
}

Result<ForeignFiles> open_indexed(const std::string& directory) {
  const std::string index_path = directory + "/" + kIndexName;
  auto index = read_index(index_path);
  if (!index) return index.error();
  std::map<std::string, std::string> files;  // file -> a tensor in it
  for (const auto& [tensor, file] : *index) files.emplace(file, tensor);
  ForeignFiles found;
  for (const auto& [name, tensor] : files) {
    const std::string path = directory + "/" + name;
    if (!exists(path))
      return Error{Code::kBadInput, path + " is missing: " + kIndexName + " says that " + tensor + " lies in it"};
    auto header = read_header(path);
    if (!header) return header.error();
    if (auto ok = add_file(found, path, std::move(*header)); !ok) return ok.error();
  }
  for (const auto& [tensor, file] : *index) {
    const auto at = found.tensors.find(tensor);
    const std::string path = directory + "/" + file;
    if (at == found.tensors.end())
      return Error{Code::kBadInput, path + " does not hold " + tensor + ", though " + kIndexName + " says so"};
    const std::string& holder = found.files[static_cast<std::size_t>(at->second.file)].path;
    if (holder != path)
      return Error{Code::kBadInput, tensor + " lies in " + holder + ", not in " + path + " as " + kIndexName + " says"};
  }
  return found;
}

}  // namespace

Result<ForeignFiles> open_foreign_files(const std::string& directory) {
  if (exists(directory + "/" + kIndexName)) return open_indexed(directory);
  const std::string path = directory + "/" + kOneFileName;
  if (!exists(path)) {
    const bool pickled =
        exists(directory + "/pytorch_model.bin") || exists(directory + "/pytorch_model.bin.index.json");
    return Error{Code::kNotFound,
                 directory + " holds neither " + kOneFileName + " nor " + kIndexName +
                     (pickled ? "; pytorch_model.bin is not read: save the model as safetensors" : "")};
  }
  auto header = read_header(path);
  if (!header) return header.error();
  ForeignFiles found;
  if (auto ok = add_file(found, path, std::move(*header)); !ok) return ok.error();
  return found;
}

}  // namespace regroup::checkpoint
