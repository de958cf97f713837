#include "moe/regroup/inventory.hpp"

#include "base/check.hpp"
#include "moe/regroup/held_blocks_wire.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/state/tags.hpp"

#include <algorithm>
#include <bit>

namespace regroup {
namespace {

std::int64_t or_none(const std::optional<Step>& step) { return step ? step->value : -1; }

void add_live(Known& known, int rank, const Holdings::Moved& held) {
  if (known.bad.emplace(held.step.value, held.bad).first->second != held.bad) {
    throw Interrupted{{Code::kInternal, "two workers count the bad steps until step " +
                                            std::to_string(held.step.value) +
                                            " differently: one of them computed wrongly"}};
  }
  known.inventories.push_back({rank, StateKind::kLive, held.step, held.blocks});
}

}  // namespace

BadSteps Known::bad_until(Step step) const {
  if (const auto found = bad.find(step.value); found != bad.end()) return found->second;
  const auto before = bad.find(step.value - 1);
  const auto found = records.find(step.value);
  REGROUP_CHECK(before != bad.end() && found != records.end(), "nobody knows the history of step", step.value);
  return before->second.after(found->second.bad());
}

Known exchange_holdings(mesh::Mesh& mesh, const EpochView& view, const Holdings& mine) {
  WireWriter out;
  out.put(or_none(mine.live));
  out.put(or_none(mine.prepared));
  out.put(static_cast<std::uint8_t>(mine.record.has_value()));
  out.put(mine.record.value_or(VoteRecord{}));
  out.put(mine.bad);
  out.put(mine.validation);
  put_blocks(out, mine.blocks);
  out.put(static_cast<std::uint64_t>(mine.moved.size()));
  for (const Holdings::Moved& moved : mine.moved) {
    out.put(moved.step.value);
    out.put(moved.bad);
    put_blocks(out, moved.blocks);
  }
  const auto all =
      must(all_gather_v(mesh, view.participant_ranks(), make_tag(Step(0), TransferOp::kInventory), out.bytes()));
  Known known;
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    WireReader in(all[rank]);
    const auto live = in.get<std::int64_t>();
    const auto prepared = in.get<std::int64_t>();
    const bool has_record = in.get<std::uint8_t>() != 0;
    const auto record = in.get<VoteRecord>();
    const auto bad = in.get<BadSteps>();
    const auto validation = in.get<ValidationRecord>();
    const auto blocks = get_blocks(in);
    std::vector<Holdings::Moved> moved;
    for (auto count = in.get<std::uint64_t>(); count > 0 && in.ok(); --count) {
      const Step step(in.get<std::int64_t>());
      const auto until = in.get<BadSteps>();
      moved.push_back({step, until, get_blocks(in)});
    }
    if (!in.ok())
      throw Interrupted{{Code::kCorrupt, "the inventory of rank " + std::to_string(rank) + " is cut short"}};
    if (has_record) {
      const auto [at, fresh] = known.records.emplace(record.step, record);
      const VoteRecord& other = at->second;
      // As bits: the sums of a bad step are no numbers, and must equal themselves.
      const auto bits = [](double sum) { return std::bit_cast<std::uint64_t>(sum); };
      if (!fresh && (bits(other.sum_of_squares) != bits(record.sum_of_squares) ||
                     bits(other.loss_sum) != bits(record.loss_sum) || other.targets != record.targets)) {
        throw Interrupted{{Code::kInternal, "two workers committed step " + std::to_string(record.step) +
                                                " with different sums: one of them computed wrongly"}};
      }
    }
    if (validation.step == known.validation.step && validation != known.validation) {
      throw Interrupted{{Code::kInternal, "two workers validated step " + std::to_string(validation.step) +
                                              " with different losses: one of them computed wrongly"}};
    }
    if (validation.step > known.validation.step) known.validation = validation;
    if (live >= 0) add_live(known, static_cast<int>(rank), {Step(live), bad, blocks});
    for (const Holdings::Moved& part : moved) add_live(known, static_cast<int>(rank), part);
    if (prepared >= 0)
      known.inventories.push_back({static_cast<int>(rank), StateKind::kPrepared, Step(prepared), blocks});
  }
  return known;
}

}  // namespace regroup
