#include "moe/state/vote.hpp"

#include "moe/state/wire.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string>

namespace regroup {

std::vector<std::byte> to_bytes(const Vote& vote) {
  WireWriter out;
  out.put(static_cast<std::uint8_t>(vote.ok));
  out.put(vote.planned);
  out.put(vote.snapshot);
  out.put(static_cast<std::uint8_t>(vote.saving));
  out.put(vote.losses);
  out.put(vote.squares_of);
  out.put(vote.squares);
  out.put(vote.expert_load);
  return out.bytes();
}

Result<Vote> vote_from_bytes(std::span<const std::byte> bytes) {
  WireReader in(bytes);
  Vote vote;
  vote.ok = in.get<std::uint8_t>() != 0;
  vote.planned = in.get<std::uint64_t>();
  vote.snapshot = in.get<SnapshotVote>();
  vote.saving = in.get<std::uint8_t>() != 0;
  vote.losses = in.get_vector<MicrobatchLoss>();
  vote.squares_of = in.get_vector<SquaresOf>();
  vote.squares = in.get_vector<double>();
  vote.expert_load = in.get_vector<std::int64_t>();
  if (!in.ok()) return Error{Code::kCorrupt, "a vote is cut short"};
  return vote;
}

bool VoteRecord::bad() const { return !std::isfinite(norm()); }

double VoteRecord::norm() const { return std::sqrt(sum_of_squares) / static_cast<double>(targets > 0 ? targets : 1); }

Result<VoteRecord> count_votes(const JobConstants& job, Step step, const std::vector<Vote>& votes) {
  VoteRecord record;
  record.step = step.value;
  record.planned = ~std::uint64_t{0};
  record.snapshot = SnapshotVote{std::numeric_limits<std::int64_t>::max()};
  std::vector<std::optional<MicrobatchLoss>> losses(static_cast<std::size_t>(job.spec.microbatches));
  std::vector<double> squares(job.units.size() * kBlocksPerUnit);
  std::vector<bool> known(squares.size());
  for (const Vote& vote : votes) {
    if (!vote.ok) return Error{Code::kInternal, "a member voted against step " + std::to_string(step.value)};
    record.planned = std::min(record.planned, vote.planned);
    record.snapshot = std::min(record.snapshot, vote.snapshot);
    record.saving += vote.saving ? 1 : 0;
    for (const MicrobatchLoss& loss : vote.losses) {
      if (loss.microbatch < 0 || loss.microbatch >= job.spec.microbatches ||
          losses[static_cast<std::size_t>(loss.microbatch)]) {
        return Error{Code::kInternal, "microbatch " + std::to_string(loss.microbatch) + " of step " +
                                          std::to_string(step.value) + " was computed twice or does not exist"};
      }
      losses[static_cast<std::size_t>(loss.microbatch)] = loss;
    }
    std::size_t next = 0;
    for (const SquaresOf& of : vote.squares_of) {
      if (of.unit < 0 || of.unit >= static_cast<int>(job.units.size()) || of.lo < 0 || of.count < 0 ||
          of.lo + of.count > kBlocksPerUnit || next + static_cast<std::size_t>(of.count) > vote.squares.size()) {
        return Error{Code::kInternal, "a vote names blocks that do not exist"};
      }
      for (int block = of.lo; block < of.lo + of.count; ++block, ++next) {
        const std::size_t at = static_cast<std::size_t>(of.unit) * kBlocksPerUnit + static_cast<std::size_t>(block);
        // Compared as bits: a norm that is not a number must equal itself.
        if (known[at] && std::memcmp(&squares[at], &vote.squares[next], sizeof(double)) != 0) {
          return Error{Code::kInternal, "groups disagree about the gradient of unit " + std::to_string(of.unit) +
                                            " block " + std::to_string(block) + " in step " +
                                            std::to_string(step.value) + ": one of them computed wrongly"};
        }
        squares[at] = vote.squares[next];
        known[at] = true;
      }
    }
  }
  // Sums run over microbatches and over blocks, in ascending order, not over the votes: which member computed or owns
  // one depends on the layout, and the bits must not.
  for (std::size_t i = 0; i < losses.size(); ++i) {
    if (!losses[i])
      return Error{Code::kInternal,
                   "nobody computed microbatch " + std::to_string(i) + " of step " + std::to_string(step.value)};
    record.loss_sum += losses[i]->loss_sum;
    record.targets += losses[i]->targets;
    record.aux_sum += losses[i]->aux_loss;
    record.z_sum += losses[i]->z_loss;
  }
  for (std::size_t i = 0; i < squares.size(); ++i) {
    if (!known[i])
      return Error{Code::kInternal, "nobody owns block " + std::to_string(i % kBlocksPerUnit) + " of unit " +
                                        std::to_string(i / kBlocksPerUnit)};
    record.sum_of_squares += squares[i];
  }
  return record;
}

}  // namespace regroup
