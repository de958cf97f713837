#include "agent/snapshots/region.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

namespace regroup::agent {
namespace {

constexpr std::int64_t kLeaveFree = std::int64_t{128} << 20;  // for everything else on the machine
constexpr std::size_t kIdleRegions = 4;

Error no_memory(std::int64_t bytes, const std::string& why) {
  return {Code::kUnavailable, "no memory for a snapshot of " + std::to_string(bytes) + " bytes: " + why};
}

// Asking first: Linux hands out more than it has and then ends a process of its own choice.
Result<void> check_room(std::int64_t bytes) {
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    if (line.rfind("MemAvailable:", 0) != 0) continue;
    const std::int64_t available = std::strtoll(line.c_str() + 13, nullptr, 10) * 1024;
    if (bytes > available - kLeaveFree)
      return no_memory(bytes, "only " + std::to_string(available) + " bytes are available");
    return {};
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<Region>> Region::make_slot(std::int64_t bytes) {
  if (bytes <= 0) return Error{Code::kBadInput, "a snapshot slot of " + std::to_string(bytes) + " bytes was asked for"};
  if (auto room = check_room(bytes); !room) return room.error();
  const int fd = ::memfd_create("regroup-snapshots", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return no_memory(bytes, std::string("memfd_create: ") + std::strerror(errno));
  std::shared_ptr<Region> region(new Region(nullptr, bytes, fd));
  if (::ftruncate(fd, bytes) != 0 || ::fallocate(fd, 0, 0, bytes) != 0) return no_memory(bytes, std::strerror(errno));
  if (::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return no_memory(bytes, std::string("sealing: ") + std::strerror(errno));
  void* data =
      ::mmap(nullptr, static_cast<std::size_t>(bytes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  if (data == MAP_FAILED) return no_memory(bytes, std::strerror(errno));
  region->data_ = static_cast<std::byte*>(data);
  return region;
}

Result<std::unique_ptr<Region>> Region::make_private(std::int64_t bytes) {
  if (auto room = check_room(bytes); !room) return room.error();
  void* data =
      ::mmap(nullptr, static_cast<std::size_t>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return no_memory(bytes, std::strerror(errno));
  return std::unique_ptr<Region>(new Region(static_cast<std::byte*>(data), bytes, -1));
}

Region::~Region() {
  if (data_ != nullptr) ::munmap(data_, static_cast<std::size_t>(bytes_));
  if (fd_ >= 0) ::close(fd_);
}

Result<std::shared_ptr<Region>> RegionPool::take(std::int64_t bytes) {
  std::unique_ptr<Region> region;
  {
    const LockGuard lock(mutex_);
    auto best = idle_.end();
    for (auto it = idle_.begin(); it != idle_.end(); ++it) {
      if ((*it)->bytes() >= bytes && (*it)->bytes() <= 2 * bytes &&
          (best == idle_.end() || (*it)->bytes() < (*best)->bytes()))
        best = it;
    }
    if (best != idle_.end()) {
      region = std::move(*best);
      idle_.erase(best);
    }
  }
  if (!region) {
    auto made = Region::make_private(bytes);
    if (!made) {
      clear();  // what lies idle here may be what is missing
      made = Region::make_private(bytes);
    }
    if (!made) return made.error();
    region = std::move(*made);
  }
  return std::shared_ptr<Region>(region.release(), [pool = weak_from_this()](Region* used) {
    std::unique_ptr<Region> owned(used);
    if (auto alive = pool.lock()) alive->give_back(std::move(owned));
  });
}

void RegionPool::clear() {
  std::vector<std::unique_ptr<Region>> gone;
  const LockGuard lock(mutex_);
  gone.swap(idle_);
}

void RegionPool::give_back(std::unique_ptr<Region> region) {
  std::unique_ptr<Region> oldest;  // unmapped outside the lock
  const LockGuard lock(mutex_);
  idle_.push_back(std::move(region));
  if (idle_.size() <= kIdleRegions) return;
  oldest = std::move(idle_.front());
  idle_.erase(idle_.begin());
}

}  // namespace regroup::agent
