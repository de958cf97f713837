#include "agent/snapshots/shelf.hpp"

#include "layout/units.hpp"

#include <algorithm>
#include <tuple>

namespace regroup::agent {

Shelf::Shelf(const JobSpec& job) : job_(job) {
  for (const Unit& unit : make_units(job.model)) block_elements_.push_back(unit.block_elements);
}

// The last pointer to a snapshot may unmap gigabytes: outside the lock.
template <class Which>
void Shelf::end(const Which& which) {
  std::vector<Place> gone;
  const LockGuard lock(mutex_);
  const auto from =
      std::stable_partition(places_.begin(), places_.end(), [&](const Place& place) { return !which(place); });
  gone.assign(std::make_move_iterator(from), std::make_move_iterator(places_.end()));
  places_.erase(from, places_.end());
}

void Shelf::put_up(const SnapshotPtr& snapshot) {
  end([&](const Place& place) {
    return place.snapshot->taken_by == snapshot->taken_by && place.snapshot->place == snapshot->place;
  });
  const LockGuard lock(mutex_);
  if (!closed_) places_.push_back({snapshot, false});
}

bool Shelf::publish(const SnapshotPtr& snapshot) {
  {
    const LockGuard lock(mutex_);
    const auto at =
        std::find_if(places_.begin(), places_.end(), [&](const Place& place) { return place.snapshot == snapshot; });
    if (at == places_.end()) return false;
    at->complete = true;
  }
  end([&](const Place& place) {
    return place.complete && place.snapshot != snapshot && place.snapshot->taken_by == snapshot->taken_by &&
           place.snapshot->step == snapshot->step;
  });
  return true;
}

bool Shelf::holds(const SnapshotPtr& snapshot) const {
  const LockGuard lock(mutex_);
  return std::any_of(places_.begin(), places_.end(), [&](const Place& place) { return place.snapshot == snapshot; });
}

SnapshotPtr Shelf::taken_before(const KeptSnapshot& like) const {
  const LockGuard lock(mutex_);
  for (const Place& place : places_) {
    const KeptSnapshot& held = *place.snapshot;
    if (place.complete && held.taken_by == like.taken_by && held.place == like.place && held.step == like.step &&
        held.epoch == like.epoch && held.entries == like.entries)
      return place.snapshot;
  }
  return nullptr;
}

void Shelf::drop(const SnapshotPtr& snapshot) {
  end([&](const Place& place) { return place.snapshot == snapshot; });
}

void Shelf::drop_older(Step safe) {
  end([&](const Place& place) { return place.snapshot->step < safe; });
}

void Shelf::close() {
  {
    const LockGuard lock(mutex_);
    closed_ = true;
  }
  end([](const Place&) { return true; });
}

bool Shelf::closed() const {
  const LockGuard lock(mutex_);
  return closed_;
}

std::vector<SnapshotPtr> Shelf::complete() const {
  std::vector<SnapshotPtr> out;
  {
    const LockGuard lock(mutex_);
    for (const Place& place : places_) {
      if (place.complete) out.push_back(place.snapshot);
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const SnapshotPtr& a, const SnapshotPtr& b) {
    return std::tie(b->step, a->taken_by) < std::tie(a->step, b->taken_by);
  });
  return out;
}

std::vector<SnapshotPtr> Shelf::complete_of(Step step) const {
  std::vector<SnapshotPtr> out = complete();
  std::erase_if(out, [&](const SnapshotPtr& snapshot) { return snapshot->step != step; });
  return out;
}

}  // namespace regroup::agent
