// What reads all of a checkpoint: verify, digest, export.
#include "base/digest.hpp"
#include "checkpoint/io/catalog.hpp"
#include "checkpoint/io/posix_file.hpp"
#include "checkpoint/io/reader.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace regroup {
namespace {

// Counts bytes over several files and asks whether to go on.
class Meter {
 public:
  Meter(const CheckpointReader& reader, bool weights_only, const CheckpointProgress& progress) : progress_(progress) {
    for (const PlannedFile& file : reader.plan().files())
      if (file.weights || !weights_only) total_ += file.bytes;
  }
  Result<void> add(std::size_t bytes) {
    done_ += static_cast<std::int64_t>(bytes);
    if (progress_ && !progress_(done_, total_)) return Error{Code::kNewerEpoch, "stopped"};
    return {};
  }

 private:
  const CheckpointProgress& progress_;
  std::int64_t done_ = 0;
  std::int64_t total_ = 0;
};

// Splits the data of one weights file into its tensors and hashes each.
class TensorHasher {
 public:
  TensorHasher(const PlannedFile& file, std::vector<std::string>& lines) : file_(file), lines_(lines), skip_(file.header.size()) {}
  void take(std::span<const std::byte> bytes) {
    const std::size_t header = std::min(skip_, bytes.size());
    skip_ -= header;
    bytes = bytes.subspan(header);
    while (!bytes.empty()) {
      const FileTensor& tensor = file_.tensors[next_];
      const auto now = std::min(bytes.size(), static_cast<std::size_t>(tensor.end - at_));
      hash_.update(bytes.data(), now);
      at_ += static_cast<std::int64_t>(now);
      bytes = bytes.subspan(now);
      if (at_ < tensor.end) continue;
      lines_.push_back(tensor_line(tensor.name, tensor.shape, hash_.finish()));
      hash_ = Sha256();
      ++next_;
    }
  }

 private:
  const PlannedFile& file_;
  std::vector<std::string>& lines_;
  std::size_t skip_;
  std::size_t next_ = 0;
  std::int64_t at_ = 0;
  Sha256 hash_;
};

Result<void> copy_file_verified(CheckpointReader& reader, int index, const std::string& path, Meter& meter) {
  auto file = open_file(path, O_WRONLY | O_CREAT | O_EXCL);
  if (!file) return file.error();
  std::int64_t at = 0;
  auto copied = reader.stream_file(index, [&](std::span<const std::byte> bytes) -> Result<void> {
    if (auto ok = write_at(file->fd(), path, bytes, at); !ok) return ok;
    at += static_cast<std::int64_t>(bytes.size());
    return meter.add(bytes.size());
  });
  if (copied) copied = sync_file(file->fd(), path);
  return copied;
}

bool belongs_to_model(const std::string& name) {
  return name.ends_with(".json") && name != kManifestName && !name.starts_with("part-") && name != "config.json";
}

}  // namespace

Result<Manifest> verify_checkpoint(const std::string& path, const CheckpointProgress& progress) {
  auto reader = CheckpointReader::open(path);
  if (!reader) return reader.error();
  Meter meter(**reader, false, progress);
  for (int file = 0; file < static_cast<int>((*reader)->plan().files().size()); ++file)
    if (auto ok = (*reader)->stream_file(file, [&](std::span<const std::byte> bytes) { return meter.add(bytes.size()); }); !ok) return ok.error();
  return (*reader)->manifest();
}

Result<std::string> digest_checkpoint(const std::string& path, const CheckpointProgress& progress) {
  auto reader = CheckpointReader::open(path);
  if (!reader) return reader.error();
  Meter meter(**reader, true, progress);
  std::vector<std::string> lines;
  for (int file = 0; file < static_cast<int>((*reader)->plan().files().size()); ++file) {
    const PlannedFile& planned = (*reader)->plan().files()[static_cast<std::size_t>(file)];
    if (!planned.weights) continue;
    TensorHasher hasher(planned, lines);
    auto ok = (*reader)->stream_file(file, [&](std::span<const std::byte> bytes) {
      hasher.take(bytes);
      return meter.add(bytes.size());
    });
    if (!ok) return ok.error();
  }
  return weights_digest(std::move(lines));
}

Result<std::int64_t> export_checkpoint(const std::string& path, const std::string& target, const CheckpointProgress& progress) {
  auto reader = CheckpointReader::open(path);
  if (!reader) return reader.error();
  if (auto made = make_directory(target); !made) return made.error();
  if (::access((target + "/config.json").c_str(), F_OK) == 0) return Error{Code::kBadInput, target + " holds a model already; choose another directory"};
  Meter meter(**reader, true, progress);
  std::int64_t bytes = 0;
  for (int file = 0; file < static_cast<int>((*reader)->plan().files().size()); ++file) {
    const PlannedFile& planned = (*reader)->plan().files()[static_cast<std::size_t>(file)];
    if (!planned.weights) continue;
    if (auto ok = copy_file_verified(**reader, file, target + "/" + planned.name, meter); !ok) {
      ::unlink((target + "/" + planned.name).c_str());
      return ok.error();
    }
    bytes += planned.bytes;
  }
  // config.json last: without it the directory is no model.
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (belongs_to_model(name)) names.push_back(name);
  }
  if (error) return file_error("list", path, error.value());
  names.push_back("config.json");
  for (const std::string& name : names) {
    auto text = read_small_file(path + "/" + name);
    if (!text) return text.error();
    if (auto ok = replace_file(target + "/" + name, *text); !ok) return ok.error();
    bytes += static_cast<std::int64_t>(text->size());
  }
  return bytes;
}

}  // namespace regroup
