#include "agent/snapshots/peer_requests.hpp"

#include "agent/snapshots/listing.hpp"
#include "api/json_values.hpp"
#include "base/json_fields.hpp"

#include <algorithm>
#include <variant>

namespace regroup::agent {
namespace {

using json::Field;
using json::Json;

struct List {};
struct Fetch {
  Step step;
  int unit = 0;
  Interval blocks;
};
struct Put {
  WorkerId taken_by;
  Step step;
  Epoch epoch;
  std::uint64_t place = 0;
  Step safe;
  BadSteps bad;
  std::vector<SnapshotEntry> entries;
};
using Request = std::variant<List, Fetch, Put>;

Request read_request(const Field& in) {
  const std::string what = in["do"].string();
  if (what == "list") return List{};
  if (what == "fetch") {
    return Fetch{in["step"].id<Step>(), in["unit"].integer<int>(), {in["lo"].integer<int>(), in["hi"].integer<int>()}};
  }
  if (what == "put") {
    return Put{in["taken_by"].worker(),    in["step"].id<Step>(),
               in["epoch"].id<Epoch>(),    in["place"].integer<std::uint64_t>(),
               in["safe"].id<Step>(),      read_bad_steps(in["bad"]),
               read_entries(in["entries"])};
  }
  in["do"].fail("is '" + what + "', which this agent cannot do");
}

struct Piece {
  SnapshotPtr snapshot;
  const KeptEntry* entry = nullptr;
  Interval blocks;
};

// The copy that goes on furthest from block `lo` of the unit.
std::optional<Piece> longest_from(const std::vector<SnapshotPtr>& snapshots, int unit, Interval blocks) {
  std::optional<Piece> best;
  for (const SnapshotPtr& snapshot : snapshots) {
    for (const KeptEntry& entry : snapshot->entries) {
      if (entry.unit != unit || entry.blocks.lo > blocks.lo || entry.blocks.hi <= blocks.lo) continue;
      const Interval reach{blocks.lo, std::min(blocks.hi, entry.blocks.hi)};
      if (!best || reach.hi > best->blocks.hi) best = Piece{snapshot, &entry, reach};
    }
  }
  return best;
}

// Checked before it is promised: a piece whose bytes changed is taken from another copy if there is one.
Result<std::vector<Piece>> find_pieces(Shelf& shelf, Step step, int unit, Interval blocks) {
  std::vector<Piece> pieces;
  bool torn = false;
  auto snapshots = shelf.complete_of(step);
  const std::string what = "blocks " + std::to_string(blocks.lo) + ".." + std::to_string(blocks.hi) + " of unit " +
                           std::to_string(unit) + " at step " + std::to_string(step.value);
  while (blocks.lo < blocks.hi) {
    auto piece = longest_from(snapshots, unit, blocks);
    if (!piece && torn) return Error{Code::kCorrupt, what + " no longer match their checksums here"};
    if (!piece) return Error{Code::kNotFound, what + " are not all kept here"};
    if (!still_matches(*piece->snapshot, *piece->entry, piece->blocks)) {
      torn = true;
      shelf.drop(piece->snapshot);
      std::erase(snapshots, piece->snapshot);
      continue;
    }
    blocks.lo = piece->blocks.hi;
    pieces.push_back(std::move(*piece));
  }
  return pieces;
}

iovec part(const void* data, std::int64_t bytes) { return {const_cast<void*>(data), static_cast<std::size_t>(bytes)}; }

Result<void> answer(PeerSocket& socket, Shelf& shelf, const Fetch& request) {
  const auto& [step, unit, blocks] = request;
  if (unit < 0 || unit >= static_cast<int>(shelf.block_elements().size()) || blocks.lo < 0 || blocks.lo >= blocks.hi)
    return socket.write_frame(error_json({Code::kBadInput, "the model has no such blocks"}));
  auto pieces = find_pieces(shelf, step, unit, blocks);
  if (!pieces) return socket.write_frame(error_json(pieces.error()));
  std::vector<iovec> sums;
  std::vector<iovec> arrays;
  const std::int64_t block_bytes =
      shelf.block_elements()[static_cast<std::size_t>(unit)] * static_cast<std::int64_t>(sizeof(float));
  for (int array = 0; array < 3; ++array) {
    for (const Piece& piece : *pieces) {
      sums.push_back(part(piece.snapshot->sums(*piece.entry, array, piece.blocks.lo),
                          piece.blocks.size() * static_cast<std::int64_t>(sizeof(std::uint64_t))));
      arrays.push_back(
          part(piece.snapshot->array(*piece.entry, array, piece.blocks.lo), piece.blocks.size() * block_bytes));
    }
  }
  auto sent = socket.write_frame(
      Json{{"ok", true}, {"bytes", static_cast<std::uint64_t>(3 * blocks.size() * block_bytes)}}.dump());
  if (sent) sent = socket.write(std::move(sums));
  if (sent) sent = socket.write(std::move(arrays));
  return sent;
}

struct Incoming {
  std::shared_ptr<KeptSnapshot> snapshot;
  Step safe;
};

Result<Incoming> prepare_put(const Shelf& shelf, RegionPool& copies, const Put& request) {
  auto snapshot = std::make_shared<KeptSnapshot>();
  snapshot->taken_by = request.taken_by;
  snapshot->step = request.step;
  snapshot->epoch = request.epoch;
  snapshot->place = request.place;
  snapshot->bad = request.bad;
  std::vector<SnapshotEntry> entries = request.entries;
  auto bytes = lay_out(entries, shelf.block_elements());
  if (!bytes) return bytes.error();
  if (*bytes == 0) return Error{Code::kBadInput, "a put holds nothing"};
  auto kept = check_entries(entries, shelf.block_elements(), *bytes);
  if (!kept) return kept.error();
  auto memory = copies.take(*bytes);
  if (!memory) return memory.error();
  snapshot->memory = std::move(*memory);
  snapshot->entries = std::move(*kept);
  return Incoming{std::move(snapshot), request.safe};
}

Result<void> receive_put(PeerSocket& socket, Shelf& shelf, const Incoming& incoming) {
  KeptSnapshot& snapshot = *incoming.snapshot;
  bool matches = true;
  for (const KeptEntry& entry : snapshot.entries) {
    snapshot.checksums.resize(entry.first_checksum + entry.num_checksums());
    auto got =
        socket.read(snapshot.checksums.data() + entry.first_checksum, entry.num_checksums() * sizeof(std::uint64_t));
    if (got)
      got = socket.read(snapshot.memory->data() + entry.offset, static_cast<std::size_t>(3 * entry.array_bytes()));
    if (!got) return got;
    matches = matches && still_matches(snapshot, entry, entry.blocks);
  }
  if (!matches)
    return socket.write_frame(
        error_json({Code::kCorrupt,
                    "the snapshot of step " + std::to_string(snapshot.step.value) + " does not match its checksums"}));
  shelf.put_up(incoming.snapshot);
  if (!shelf.publish(incoming.snapshot))
    return socket.write_frame(error_json({Code::kUnavailable, "this agent no longer works for the job"}));
  shelf.drop_older(believable(incoming.safe, snapshot.step));
  return socket.write_frame(R"({"ok":true})");
}

Result<void> answer(PeerSocket& socket, Shelf& shelf, RegionPool& copies, const Put& request) {
  auto incoming = prepare_put(shelf, copies, request);
  if (!incoming) return socket.write_frame(error_json(incoming.error()));
  auto sent = socket.write_frame(R"({"ok":true})");
  if (!sent) return sent;
  return receive_put(socket, shelf, *incoming);
}

Result<void> await_ok(PeerSocket& socket, const std::string& who) {
  auto reply = read_reply(socket);
  if (!reply) return reply.error().within(who);
  return error_from_json(*reply, who);
}

}  // namespace

Result<void> answer(PeerSocket& socket, Shelf& shelf, RegionPool& copies, const std::string& request) {
  if (shelf.closed()) return Error{Code::kUnavailable, "this agent no longer works for the job"};
  const auto asked = json::read_json(request, "a request in a form that is not read here", read_request);
  if (!asked) return socket.write_frame(error_json(asked.error()));
  if (const auto* fetch = std::get_if<Fetch>(&*asked)) return answer(socket, shelf, *fetch);
  if (const auto* put = std::get_if<Put>(&*asked)) return answer(socket, shelf, copies, *put);
  return answer_list(socket, shelf);
}

Result<void> put_snapshot(PeerSocket& socket, const KeptSnapshot& snapshot, Step safe, const std::string& who) {
  Json entries = Json::array();
  for (const KeptEntry& entry : snapshot.entries) entries.push_back({entry.unit, entry.blocks.lo, entry.blocks.hi});
  auto done = socket.write_frame(Json{
      {"do", "put"},
      {"taken_by", to_string(snapshot.taken_by)},
      {"step", snapshot.step.value},
      {"epoch", snapshot.epoch.value},
      {"place", snapshot.place},
      {"safe", safe.value},
      {"bad", to_value(snapshot.bad)},
      {"entries",
       std::move(entries)}}.dump());
  if (done) done = await_ok(socket, who);
  if (!done) return done;
  for (const KeptEntry& entry : snapshot.entries) {
    done = socket.write({part(snapshot.sums(entry, 0, entry.blocks.lo),
                              static_cast<std::int64_t>(entry.num_checksums() * sizeof(std::uint64_t))),
                         part(snapshot.array(entry, 0, entry.blocks.lo), 3 * entry.array_bytes())});
    if (!done) return done.error().within(who);
  }
  return await_ok(socket, who);
}

}  // namespace regroup::agent
