// region.hpp: mapped memory that snapshots lie in: a worker's slot (a memfd that both processes map), or room for a
// copy of another node's (this process alone).
//
// Held by shared_ptr: it stays mapped as long as a snapshot, a transfer or a save still reads it. Any thread.
#pragma once

#include "base/mutex.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace regroup::agent {

class Region {
 public:
  // Resident, zeroed, and sealed against resizing, so that a worker cannot take pages away from under its agent.
  // kBadInput: no size. kUnavailable: no memory.
  static Result<std::shared_ptr<Region>> make_slot(std::int64_t bytes);
  // Pages come with the first write. kUnavailable: no memory.
  static Result<std::unique_ptr<Region>> make_private(std::int64_t bytes);
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }
  [[nodiscard]] int fd() const { return fd_; }  // of a slot; -1 of a private one

 private:
  Region(std::byte* data, std::int64_t bytes, int fd) : data_(data), bytes_(bytes), fd_(fd) {}
  std::byte* data_;
  std::int64_t bytes_;
  int fd_;
};

// Private regions for copies, used again: fresh pages cost as much time as writing the bytes does, and a copy comes and
// goes with every snapshot. The last few that nobody uses are kept.
class RegionPool : public std::enable_shared_from_this<RegionPool> {
 public:
  Result<std::shared_ptr<Region>> take(std::int64_t bytes);  // goes back to the pool with its last owner
  void clear();

 private:
  void give_back(std::unique_ptr<Region> region);
  Mutex mutex_;
  std::vector<std::unique_ptr<Region>> idle_ REGROUP_GUARDED_BY(mutex_);
};

}  // namespace regroup::agent
