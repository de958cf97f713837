// One owner's part: entries -> pieces of files in file order -> runs -> copied into page-aligned buffers, checksummed
// on the way, written past the page cache. Columns of a matrix are written row by row through the cache: their
// neighbours in every page are another slice's.
//
// O_DIRECT for the page-aligned middle of a run, because buffered writes of this size swing between 0.3 and 1.8 GB/s on
// one machine while direct ones stay at the disk's rate; buffered for the edges, whose pages hold a neighbour's bytes
// too. Those come last: a buffered write waits for all direct ones of its file, the other writers' too, and lets none
// begin meanwhile (40 edges of 400 MB took a fifth of the time). A page that is written directly belongs to one writer,
// so the two ways never meet in a page.
#include "base/now.hpp"
#include "checkpoint/core/file_plan.hpp"
#include "checkpoint/core/hugging_face.hpp"
#include "checkpoint/core/part_pieces.hpp"
#include "checkpoint/io/extent_checksums.hpp"
#include "checkpoint/io/owner.hpp"
#include "checkpoint/io/part_files.hpp"
#include "checkpoint/io/posix_file.hpp"
#include "checkpoint/io/save.hpp"
#include "checkpoint/io/save_files.hpp"
#include "checkpoint/io/stream_copy.hpp"
#include "checkpoint/io/write_behind.hpp"

#include <unistd.h>

#include <algorithm>

namespace regroup::checkpoint {
namespace {

// shorter runs are not worth a write of their own past the cache
constexpr std::int64_t kLeastDirect = std::int64_t{256} << 10;

class PartWriter {
 public:
  PartWriter(const SaveRequest& request, const FilePlan& plan, std::string directory, const CancelFlag& cancel)
      : request_(request), directory_(std::move(directory)), cancel_(cancel), files_(plan, directory_) {}

  Result<PartRecord> write(const std::vector<PartPiece>& pieces) {
    if (request_.part == 0) {
      if (auto ok = files_.write_headers(); !ok) return ok.error();
      if (auto ok = files_.write_model_files(origin()); !ok) return ok.error();
    }
    pass(request_, "files_made");
    PartRecord record{request_.info, request_.part, request_.num_parts, {}};
    for (std::size_t first = 0; first < pieces.size();) {
      std::size_t end = first + 1;
      while (end < pieces.size() && pieces[end].continues(pieces[end - 1])) ++end;
      if (record.extents.size() == 1) pass(request_, "one_run_written");
      auto extent = pieces[first].rows ? write_strided(pieces[first]) : write_run({pieces.data() + first, end - first});
      if (!extent) return extent.error();
      record.extents.push_back(std::move(*extent));
      first = end;
    }
    if (auto ok = behind_.drain(); !ok) return ok.error();
    if (auto ok = write_edges(); !ok) return ok.error();
    pass(request_, "data_written");
    if (auto ok = files_.sync(); !ok) return ok.error();
    pass(request_, "data_synced");
    record.group = request_.group;
    if (request_.holds) record.holds = request_.holds();
    return record;
  }

  [[nodiscard]] std::vector<std::string> take_notes() { return std::move(notes_); }

 private:
  // Empty where there is none: a model without its special tokens is still a model.
  std::string origin() {
    if (request_.model_directory.empty()) return {};
    auto text = read_small_file(request_.model_directory + "/" + kConfigName);
    if (!text) notes_.push_back(text.error().context + ": the checkpoint's model has no special tokens");
    return text ? *text : std::string();
  }

  Result<Extent> write_strided(const PartPiece& piece) {
    auto file = files_.output(piece.file);
    if (!file) return file.error();
    Extent extent{piece.file, piece.offset, piece.bytes, {}, piece.rows, piece.from};
    checksums_.start(extent);
    for (std::int64_t at = extent.from; at < extent.end();) {
      if (cancel_.cancelled()) return stopped();
      const std::int64_t bytes = std::min(extent.end() - at, piece.rows.run - at % piece.rows.run);
      const std::span run(piece.memory + (at - extent.from), static_cast<std::size_t>(bytes));
      checksums_.update(run);
      if (auto ok = write_at((*file)->buffered.fd(), (*file)->path, run, extent.offset + piece.rows.place(at)); !ok)
        return ok.error();
      at += bytes;
    }
    extent.checksums = checksums_.finish();
    return extent;
  }

  [[nodiscard]] Error stopped() const {
    return {Code::kNewerEpoch, "checkpoint " + directory_ + ": the save was stopped"};
  }

  // Pieces that follow one another in one file.
  Result<Extent> write_run(std::span<const PartPiece> run) {
    auto file = files_.output(run.front().file);
    if (!file) return file.error();
    Extent extent{
        run.front().file, run.front().offset, run.back().offset + run.back().bytes - run.front().offset, {}, {}, 0};
    const std::int64_t end = extent.offset + extent.bytes;
    std::int64_t direct_begin = (extent.offset + kFilePage - 1) / kFilePage * kFilePage;
    std::int64_t direct_end = end / kFilePage * kFilePage;
    if (!(*file)->direct || direct_end - direct_begin < kLeastDirect) direct_begin = direct_end = end;
    checksums_.start(extent);
    source_ = run;
    for (std::int64_t at = extent.offset; at < end;) {
      if (cancel_.cancelled()) return stopped();
      const bool direct = at >= direct_begin && at < direct_end;
      const std::int64_t limit = at < direct_begin ? direct_begin : direct ? direct_end : end;
      const std::int64_t bytes =
          std::min<std::int64_t>(limit - at, static_cast<std::int64_t>(WriteBehind::kBufferBytes));
      if ((*file)->direct && !direct) {
        edges_.push_back({*file, at, bytes, source_, taken_});
        take(bytes, [this](std::span<const std::byte> piece) { checksums_.update(piece); });
      } else {
        fill(behind_.buffer(), bytes);
        if (auto ok = behind_.submit(direct ? (*file)->direct.fd() : (*file)->buffered.fd(), (*file)->path,
                                     static_cast<std::size_t>(bytes), at);
            !ok)
          return ok.error();
      }
      at += bytes;
    }
    extent.checksums = checksums_.finish();
    return extent;
  }

  Result<void> write_edges() {
    for (const Edge& edge : edges_) {
      if (cancel_.cancelled()) return stopped();
      source_ = edge.source;
      taken_ = edge.taken;
      Result<void> written;
      std::int64_t at = edge.offset;
      take(edge.bytes, [&](std::span<const std::byte> piece) {
        if (written) written = write_at(edge.file->buffered.fd(), edge.file->path, piece, at);
        at += static_cast<std::int64_t>(piece.size());
      });
      if (!written) return written;
    }
    return {};
  }

  void fill(std::byte* into, std::int64_t bytes) {
    take(bytes, [this, &into](std::span<const std::byte> piece) {  // what the checksum has read is in the cache
      checksums_.update(piece);
      stream_copy(into, piece.data(), piece.size());
      into += piece.size();
    });
  }

  // The next bytes of the run, in pieces that fit into a cache.
  template <class Use>
  void take(std::int64_t bytes, Use use) {
    constexpr std::int64_t kCacheful = std::int64_t{64} << 10;
    while (bytes > 0) {
      const std::int64_t now = std::min({bytes, source_.front().bytes - taken_, kCacheful});
      use(std::span(source_.front().memory + taken_, static_cast<std::size_t>(now)));
      bytes -= now;
      taken_ += now;
      if (taken_ == source_.front().bytes) {
        source_ = source_.subspan(1);
        taken_ = 0;
      }
    }
  }

  struct Edge {
    OutputFile* file;
    std::int64_t offset, bytes;
    std::span<const PartPiece> source;  // from `taken` bytes of its first one on
    std::int64_t taken;
  };

  const SaveRequest& request_;
  std::string directory_;
  const CancelFlag& cancel_;
  PartFiles files_;
  ExtentChecksums checksums_;
  std::span<const PartPiece> source_;  // what is left of the run
  std::int64_t taken_ = 0;             // bytes of source_.front() that are copied
  std::vector<Edge> edges_;
  std::vector<std::string> notes_;
  WriteBehind behind_;  // last: it must be done before the files close
};

}  // namespace

Result<PartWritten> write_part(const SaveRequest& request, const CancelFlag& cancel) {
  const auto started = std::chrono::steady_clock::now();
  if (request.part < 0 || request.part >= request.num_parts)
    return Error{Code::kBadInput, "checkpoint: there is no part " + std::to_string(request.part) + " of " +
                                      std::to_string(request.num_parts)};
  auto plan = FilePlan::make(request.info.shape, request.info.max_file_bytes);
  if (!plan) return plan.error();
  auto pieces = pieces_of(*plan, request.entries);
  if (!pieces) return pieces.error();
  if (!request.owner.empty())
    if (auto ours = check_owner(request.root, request.owner); !ours) return ours.error();
  const std::string directory = directory_of(request);
  if (auto made = make_directory(directory); !made) return made.error();
  pass(request, "directory_made");
  if (::access((directory + "/" + kManifestName).c_str(), F_OK) == 0)
    return Error{Code::kConflict, "checkpoint " + directory + " is complete already"};

  PartWriter writer(request, *plan, directory, cancel);
  auto record = writer.write(*pieces);
  Result<void> done =
      record ? place_file(part_record_path(directory, request.part), to_json(*record)) : Result<void>(record.error());
  if (!done) {
    give_up_after(done.error(), directory, request.part);
    if (done.error().code == Code::kNotFound)
      return Error{Code::kUnavailable, "checkpoint " + directory + ": another part gave it up"};
    return done.error();
  }
  pass(request, "record_written");
  PartWritten written{directory, 0, seconds_since(started), writer.take_notes()};
  for (const Extent& extent : record->extents) written.bytes += extent.bytes;
  return written;
}

}  // namespace regroup::checkpoint
