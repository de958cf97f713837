// Export: the weights of a checkpoint, verified while they are read, in the type and in files of the size that are
// asked for.
#include "checkpoint/core/hugging_face.hpp"
#include "checkpoint/io/catalog.hpp"
#include "checkpoint/io/companions.hpp"
#include "checkpoint/io/posix_file.hpp"
#include "checkpoint/io/reader.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>

namespace regroup::checkpoint {
namespace {

struct OutputFile {
  std::string name;
  std::string header;
  std::vector<FileTensor> tensors;
  std::int64_t bytes = 0;
};

void lay_out(OutputFile& file) {
  place_tensors(file.tensors);
  file.header = write_safetensors_header(file.tensors);
  file.bytes = static_cast<std::int64_t>(file.header.size()) + file.tensors.back().end;
}

// The tensors in their order, as many a file as fit; one that is larger than that has a file of its own.
std::vector<OutputFile> plan_output(const FilePlan& plan, const ExportOptions& options) {
  std::vector<OutputFile> files;
  for (const PlannedFile& source : plan.files()) {
    if (!source.weights) continue;
    for (FileTensor tensor : source.tensors) {
      tensor.dtype = options.bf16 ? "BF16" : "F32";
      if (!files.empty()) {
        OutputFile more = files.back();
        more.tensors.push_back(tensor);
        lay_out(more);
        if (more.bytes <= options.max_file_bytes) {
          files.back() = std::move(more);
          continue;
        }
      }
      files.push_back({{}, {}, {tensor}, 0});
      lay_out(files.back());
    }
  }
  for (std::size_t i = 0; i < files.size(); ++i) {
    char name[64];
    std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", i + 1, files.size());
    files[i].name = name;
  }
  return files;
}

// Round to nearest even; NaN stays NaN.
std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

class Exporter {
 public:
  Exporter(const std::string& target, const std::vector<OutputFile>& files, bool bf16)
      : target_(target), files_(files), bf16_(bf16) {
    for (std::size_t f = 0; f < files.size(); ++f)
      for (const FileTensor& tensor : files[f].tensors)
        spots_[tensor.name] = {f, static_cast<std::int64_t>(files[f].header.size()) + tensor.begin};
  }

  Result<void> create() {
    for (const OutputFile& file : files_) {
      auto handle = open_file(target_ + "/" + file.name, O_WRONLY | O_CREAT | O_EXCL);
      if (!handle) return handle.error();
      handles_.push_back(std::move(*handle));
      if (auto ok = write_at(handles_.back().fd(), target_ + "/" + file.name, std::as_bytes(std::span(file.header)), 0);
          !ok)
        return ok;
    }
    return {};
  }

  // The bytes of a source file in order, header included; a piece never cuts a float.
  void start(const PlannedFile& source) {
    source_ = &source;
    skip_ = source.header.size();
    next_ = 0;
    at_ = 0;
  }
  Result<void> take(std::span<const std::byte> bytes) {
    const std::size_t header = std::min(skip_, bytes.size());
    skip_ -= header;
    bytes = bytes.subspan(header);
    while (!bytes.empty()) {
      const FileTensor& tensor = source_->tensors[next_];
      const auto now = std::min(bytes.size(), static_cast<std::size_t>(tensor.end - at_));
      if (auto ok = put(tensor, at_ - tensor.begin, bytes.first(now)); !ok) return ok;
      at_ += static_cast<std::int64_t>(now);
      bytes = bytes.subspan(now);
      if (at_ == tensor.end) ++next_;
    }
    return {};
  }

  Result<void> finish() {
    for (std::size_t f = 0; f < files_.size(); ++f)
      if (auto ok = sync_file(handles_[f].fd(), target_ + "/" + files_[f].name); !ok) return ok;
    return {};
  }

  void give_up() {
    for (std::size_t f = 0; f < handles_.size(); ++f) ::unlink((target_ + "/" + files_[f].name).c_str());
  }

 private:
  struct Spot {
    std::size_t file = 0;
    std::int64_t offset = 0;
  };
  Result<void> put(const FileTensor& tensor, std::int64_t offset, std::span<const std::byte> bytes) {
    const Spot& spot = spots_.at(tensor.name);
    const std::string path = target_ + "/" + files_[spot.file].name;
    if (!bf16_) return write_at(handles_[spot.file].fd(), path, bytes, spot.offset + offset);
    narrow_.resize(bytes.size() / sizeof(float));
    for (std::size_t i = 0; i < narrow_.size(); ++i) {
      float value = 0;
      std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
      narrow_[i] = to_bf16(value);
    }
    return write_at(handles_[spot.file].fd(), path, std::as_bytes(std::span(narrow_)), spot.offset + offset / 2);
  }

  const std::string& target_;
  const std::vector<OutputFile>& files_;
  const bool bf16_;
  std::map<std::string, Spot> spots_;
  std::vector<FileHandle> handles_;
  std::vector<std::uint16_t> narrow_;
  const PlannedFile* source_ = nullptr;
  std::size_t skip_ = 0;
  std::size_t next_ = 0;  // tensor of the source that the next byte belongs to
  std::int64_t at_ = 0;   // of the source's data
};

Result<void> copy_weights(CheckpointReader& reader, Exporter& exporter, const CheckpointProgress& progress) {
  std::int64_t total = 0, done = 0;
  for (const PlannedFile& file : reader.plan().files()) total += file.weights ? file.bytes : 0;
  if (auto ok = exporter.create(); !ok) return ok;
  for (std::size_t file = 0; file < reader.plan().files().size(); ++file) {
    const PlannedFile& source = reader.plan().files()[file];
    if (!source.weights) continue;
    exporter.start(source);
    auto ok = reader.stream_file(static_cast<int>(file), [&](std::span<const std::byte> bytes) -> Result<void> {
      done += static_cast<std::int64_t>(bytes.size());
      if (progress && !progress(done, total)) return Error{Code::kNewerEpoch, "stopped"};
      return exporter.take(bytes);
    });
    if (!ok) return ok;
  }
  return exporter.finish();
}

}  // namespace

Result<std::int64_t> export_checkpoint(const std::string& path, const std::string& target, const ExportOptions& options,
                                       const CheckpointProgress& progress) {
  auto reader = CheckpointReader::open(path);
  if (!reader) return reader.error();
  auto config = read_small_file(path + "/" + kConfigName);
  if (!config) return config.error();
  if (auto made = make_directory(target); !made) return made.error();
  if (::access((target + "/" + kConfigName).c_str(), F_OK) == 0)
    return Error{Code::kBadInput, target + " holds a model already; choose another directory"};
  const std::vector<OutputFile> files = plan_output((*reader)->plan(), options);
  Exporter exporter(target, files, options.bf16);
  if (auto ok = copy_weights(**reader, exporter, progress); !ok) {
    exporter.give_up();
    return ok.error();
  }
  std::int64_t bytes = 0, tensor_bytes = 0;
  std::map<std::string, std::string> weight_map;
  for (const OutputFile& file : files) {
    bytes += file.bytes;
    tensor_bytes += file.tensors.back().end;
    for (const FileTensor& tensor : file.tensors) weight_map[tensor.name] = file.name;
  }
  for (const std::string& problem : copy_companions(path, target)) return Error{Code::kUnavailable, problem};
  if (auto ok = place_durable_file(target + "/" + kIndexName, weights_index_json(weight_map, tensor_bytes)); !ok)
    return ok.error();
  // config.json last: without it the directory is no model.
  if (auto ok =
          place_durable_file(target + "/" + kConfigName, with_dtype(*config, options.bf16 ? "bfloat16" : "float32"));
      !ok)
    return ok.error();
  return bytes;
}

}  // namespace regroup::checkpoint
