// What reads all of a checkpoint: verify, digest.
#include "base/digest.hpp"
#include "checkpoint/io/catalog.hpp"
#include "checkpoint/io/reader.hpp"

#include <algorithm>

namespace regroup::checkpoint {
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
  TensorHasher(const PlannedFile& file, std::vector<std::string>& lines)
      : file_(file), lines_(lines), skip_(file.header.size()) {}
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

}  // namespace

Result<Manifest> verify_checkpoint(const std::string& path, const CheckpointProgress& progress) {
  auto reader = CheckpointReader::open(path);
  if (!reader) return reader.error();
  Meter meter(**reader, false, progress);
  for (int file = 0; file < static_cast<int>((*reader)->plan().files().size()); ++file)
    if (auto ok =
            (*reader)->stream_file(file, [&](std::span<const std::byte> bytes) { return meter.add(bytes.size()); });
        !ok)
      return ok.error();
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

}  // namespace regroup::checkpoint
