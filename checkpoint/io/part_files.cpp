#include "checkpoint/io/part_files.hpp"

#include "checkpoint/core/hugging_face.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace regroup::checkpoint {

PartFiles::PartFiles(const FilePlan& plan, std::string directory)
    : plan_(plan), directory_(std::move(directory)), files_(plan.files().size()) {}

Result<OutputFile*> PartFiles::output(int index) {
  OutputFile& file = files_[static_cast<std::size_t>(index)];
  if (file.buffered) return &file;
  const PlannedFile& planned = plan_.files()[static_cast<std::size_t>(index)];
  file.path = directory_ + "/" + planned.name;
  auto opened = open_file(file.path, O_RDWR | O_CREAT);
  if (!opened) return opened.error();
  auto size = file_size(*opened, file.path);
  if (!size) return size.error();
  if (*size > planned.bytes)
    return Error{
        Code::kConflict,
        file.path + " is larger than this model's file: the directory is of another model; choose another directory"};
  if (*size < planned.bytes) {
    // Whoever comes first makes the file as large as it will be; all of its blocks at once, so that a full disk is
    // found before the writing.
    int failed = ::posix_fallocate(opened->fd(), 0, planned.bytes);
    if (failed == EOPNOTSUPP || failed == EINVAL) failed = ::ftruncate(opened->fd(), planned.bytes) == 0 ? 0 : errno;
    if (failed != 0) return file_error("make room for", file.path, failed);
  }
  file.buffered = std::move(*opened);
  if (auto direct = open_file(file.path, O_WRONLY | O_DIRECT)) file.direct = std::move(*direct);
  return &file;
}

Result<void> PartFiles::write_headers() {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    auto file = output(static_cast<int>(i));
    if (!file) return file.error();
    if (auto ok = write_at((*file)->buffered.fd(), (*file)->path, std::as_bytes(std::span(plan_.files()[i].header)), 0);
        !ok)
      return ok;
  }
  return {};
}

Result<void> PartFiles::write_model_files(const std::string& origin) {
  const std::pair<const char*, std::string> texts[] = {{kConfigName, config_json(plan_.shape(), origin)},
                                                       {"generation_config.json", generation_config_json(origin)},
                                                       {kIndexName, weights_index_json(plan_)}};
  for (const auto& [name, text] : texts) {
    OutputFile& file = model_files_.emplace_back();
    file.path = directory_ + "/" + name;
    auto opened = open_file(file.path, O_WRONLY | O_CREAT | O_TRUNC);
    if (!opened) return opened.error();
    file.buffered = std::move(*opened);
    if (auto ok = write_at(file.buffered.fd(), file.path, std::as_bytes(std::span(text)), 0); !ok) return ok;
  }
  return {};
}

Result<void> PartFiles::sync() {
  for (const std::vector<OutputFile>* files : {&files_, &model_files_})
    for (const OutputFile& file : *files)
      if (file.buffered)
        if (auto ok = sync_file(file.buffered.fd(), file.path); !ok) return ok;
  return sync_directory(directory_);
}

}  // namespace regroup::checkpoint
