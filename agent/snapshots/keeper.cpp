// The keeper puts the parts together: arenas -> shelf -> taker and saver; the peer server reads the shelf.
#include "agent/snapshots/keeper.hpp"

#include "api/job_terms.hpp"
#include "base/log.hpp"
#include "base/now.hpp"
#include "checkpoint/io/owner.hpp"

#include <utility>

namespace regroup::agent {
namespace {

void put_up(const TakeRequest& request, const std::shared_ptr<Region>& memory, std::uint64_t place, Taking& taking) {
  if (!memory) {
    taking.problem = "the worker was granted no slot " + std::to_string(request.taken.info.slot);
    return;
  }
  auto entries = check_entries(request.taken.info.entries, taking.shelf->block_elements(), memory->bytes());
  if (!entries) {
    taking.problem = to_string(entries.error());
    return;
  }
  auto snapshot = std::make_shared<KeptSnapshot>();
  *snapshot = {request.worker,
               request.taken.info.step,
               request.taken.info.epoch,
               place,
               true,
               memory,
               std::move(*entries),
               {},
               request.taken.info.bad};
  // Offered again because the buddy was not there: the worker may have begun to fill the slot anew since, and only
  // the first checksums can tell.
  taking.snapshot = taking.shelf->taken_before(*snapshot);
  if (taking.snapshot) return;
  taking.snapshot = taking.to_sum = std::move(snapshot);
  taking.shelf->put_up(taking.snapshot);
}

// None when the snapshot was dropped before it was summed.
std::function<std::optional<std::vector<checkpoint::UnitSum>>()> answer_of(
    const std::shared_future<std::vector<checkpoint::UnitSum>>& holds) {
  return [holds]() -> std::optional<std::vector<checkpoint::UnitSum>> {
    try {
      return holds.get();
    } catch (const std::future_error&) {
      return std::nullopt;
    }
  };
}

Saving save_of(const TakeRequest& request, const Shelf* shelf, const std::shared_ptr<Region>& memory,
               std::string problem, Clock::time_point since) {
  const SnapshotTaken& taken = request.taken;
  Saving saving{request.worker, {}, memory, 1, std::move(problem), since, {}};
  saving.request.info.step = taken.info.step;
  saving.request.info.epoch = taken.info.epoch;
  if (!saving.problem.empty()) return saving;
  const JobSpec& job = shelf->job();
  if (job.snapshots.checkpoint_dir.empty()) {
    saving.problem = "the job names no checkpoint_dir";
    return saving;
  }
  const auto entries = check_entries(taken.to_write, shelf->block_elements(), memory ? memory->bytes() : 0);
  if (!entries) {
    saving.problem = to_string(entries.error());
    return saving;
  }
  saving.keep_last = job.snapshots.keep_last;
  saving.request.root = job.snapshots.checkpoint_dir;
  saving.request.info = {job.name,  taken.info.epoch,    taken.info.step, job.seed,
                         job.model, request.fingerprint, job.data_digest};
  saving.request.info.bad = taken.info.bad;
  saving.request.owner = checkpoint::owner_id(job.secret);
  saving.request.terms = terms_of(job);
  saving.request.model_directory = job.initial_weights;
  saving.request.has_other_tokenizer = !job.tokenizer.empty();
  if (job.tokenizer != kNoTokenizer) saving.request.tokenizer_model = job.tokenizer;
  saving.request.part = taken.part;
  saving.request.num_parts = taken.num_parts;
  saving.request.group = taken.group;
  for (const KeptEntry& entry : *entries)
    saving.request.entries.push_back({entry.unit, entry.blocks, memory->data() + entry.offset});
  return saving;
}

}  // namespace

SnapshotKeeper::SnapshotKeeper(const KeeperOptions& options, KeeperEvents events)
    : saver_(options.commit_wait, std::move(events.on_saved)), taker_(options.idle, std::move(events.on_kept)) {}

Result<std::unique_ptr<SnapshotKeeper>> SnapshotKeeper::start(const KeeperOptions& options, KeeperEvents events) {
  std::unique_ptr<SnapshotKeeper> keeper(new SnapshotKeeper(options, std::move(events)));
  auto server =
      PeerServer::start(options.listen, options.idle, options.limits, [k = keeper.get()] { return k->shelf_now(); });
  if (!server) return server.error();
  keeper->server_ = std::move(*server);
  return keeper;
}

std::string SnapshotKeeper::address() const { return server_->address(); }

void SnapshotKeeper::work_for(const JobSpec& job) {
  std::shared_ptr<Shelf> before;
  {
    const LockGuard lock(mutex_);
    if (shelf_ && shelf_->job() == job) return;
    before = std::exchange(shelf_, std::make_shared<Shelf>(job));
    arenas_.clear();
  }
  close(before);
}

void SnapshotKeeper::work_for_none() {
  std::shared_ptr<Shelf> before;
  {
    const LockGuard lock(mutex_);
    before = std::exchange(shelf_, nullptr);
    arenas_.clear();
  }
  close(before);
}

Result<std::vector<int>> SnapshotKeeper::grant(const WorkerId& worker, int slots, std::int64_t bytes) {
  if (slots < 1) return Error{Code::kBadInput, "a worker asks for " + std::to_string(slots) + " snapshot slots"};
  {
    // Before the new ones are made: what no snapshot lies in makes room for them. A worker that started in the place
    // of another has its slots too.
    const LockGuard lock(mutex_);
    std::erase_if(
        arenas_, [&](const auto& arena) { return arena.first.node == worker.node && arena.first.slot == worker.slot; });
  }
  Arena arena;
  std::vector<int> descriptors;
  for (int i = 0; i < slots; ++i) {
    auto region = Region::make_slot(bytes);
    if (!region) return region.error();
    descriptors.push_back((*region)->fd());
    arena.slots.push_back(std::move(*region));
  }
  const LockGuard lock(mutex_);
  arena.first_place = next_place_;
  next_place_ += static_cast<std::uint64_t>(slots);
  arenas_[worker] = std::move(arena);
  return descriptors;
}

void SnapshotKeeper::take(const TakeRequest& request) {
  const SnapshotTaken& taken = request.taken;
  Taking taking{request.worker,
                taken.info.step,
                taken.info.epoch,
                believable(taken.info.safe, taken.info.step),
                request.buddy,
                nullptr,
                nullptr,
                nullptr,
                {},
                Clock::now()};
  std::shared_ptr<Region> memory;
  std::uint64_t place = 0;
  {
    const LockGuard lock(mutex_);
    taking.shelf = shelf_;
    const auto arena = arenas_.find(request.worker);
    if (arena != arenas_.end() && taken.info.slot >= 0 &&
        taken.info.slot < static_cast<int>(arena->second.slots.size())) {
      memory = arena->second.slots[static_cast<std::size_t>(taken.info.slot)];
      place = arena->second.first_place + static_cast<std::uint64_t>(taken.info.slot);
    }
  }
  if (!taking.shelf) {
    log::warn("snapshot_of_no_job", {{"worker", to_string(request.worker)}, {"step", taken.info.step.value}});
    if (taken.make_durable)
      saver_.save(save_of(request, nullptr, nullptr, "this agent works for no job", taking.since));
    return;
  }
  taking.shelf->drop_older(taking.safe);
  if (!taken.info.entries.empty()) put_up(request, memory, place, taking);
  // Memory that a save reads stays as it is: the worker does not fill the slot again before it is told that the save
  // has ended.
  if (taken.make_durable) {
    Saving saving = save_of(request, taking.shelf.get(), memory, taking.problem, taking.since);
    taking.holds = std::make_shared<HoldsPromise>();
    saving.request.holds = answer_of(taking.holds->get_future().share());
    if (!taking.snapshot) taking.holds->set_value({});  // a rank that holds nothing
    saver_.save(std::move(saving));
  }
  taker_.take(std::move(taking));
}

void SnapshotKeeper::cancel_saves_before(Epoch epoch) {
  std::string job;
  {
    const LockGuard lock(mutex_);
    if (!shelf_) return;
    job = shelf_->job().name;
  }
  saver_.cancel_before(job, epoch);
}

int SnapshotKeeper::saves_under_way() const { return saver_.under_way(); }

std::shared_ptr<Shelf> SnapshotKeeper::shelf_now() {
  const LockGuard lock(mutex_);
  return shelf_;
}

void SnapshotKeeper::close(const std::shared_ptr<Shelf>& shelf) {
  if (!shelf) return;
  shelf->close();
  server_->job_ended();
}

}  // namespace regroup::agent
