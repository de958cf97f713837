#include "checkpoint/io/foreign_files.hpp"

#include "checkpoint/core/hugging_face.hpp"
#include "checkpoint/io/posix_file.hpp"
#include "checkpoint/io/weight_files.hpp"

#include <fcntl.h>

#include <algorithm>

namespace regroup::checkpoint {
namespace {

Result<SafetensorsHeader> read_header(const std::string& path) {
  auto file = open_file(path, O_RDONLY);
  if (!file) return file.error();
  auto size = file_size(*file, path);
  if (!size) return size.error();
  std::string bytes(static_cast<std::size_t>(std::min(kStartBytes, *size)), '\0');
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

Result<ForeignFiles> open_indexed(const std::string& directory, const TensorFiles& index) {
  std::map<std::string, std::string> files;  // file -> a tensor in it
  for (const auto& [tensor, file] : index) files.emplace(file, tensor);
  ForeignFiles found;
  for (const auto& [name, tensor] : files) {
    const std::string path = directory + "/" + name;
    if (const std::string absent = why_absent(path); !absent.empty())
      return Error{Code::kBadInput, path + " " + absent + ": " + kIndexName + " says that " + tensor + " lies in it"};
    auto header = read_header(path);
    if (!header) return header.error();
    if (auto ok = add_file(found, path, std::move(*header)); !ok) return ok.error();
  }
  for (const auto& [tensor, file] : index) {
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
  const auto chosen = choose_weight_files(directory);
  if (!chosen) return chosen.error();
  if (chosen->indexed) return open_indexed(directory, chosen->index);
  const std::string path = directory + "/" + kOneFileName;
  auto header = read_header(path);
  if (!header) return header.error();
  ForeignFiles found;
  if (auto ok = add_file(found, path, std::move(*header)); !ok) return ok.error();
  return found;
}

}  // namespace regroup::checkpoint
