#include "checkpoint/io/write_behind.hpp"

#include "base/check.hpp"
#include "checkpoint/io/posix_file.hpp"

#include <sys/mman.h>

namespace regroup::checkpoint {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

WriteBehind::WriteBehind() {
  for (auto& buffer : buffers_) {
    buffer = aligned_memory(kHugePage, kBufferBytes);
    CHECK(buffer != nullptr, "no memory for a write buffer");
    ::madvise(buffer.get(), kBufferBytes, MADV_HUGEPAGE);
  }
  thread_ = std::thread([this] { run(); });
}

WriteBehind::~WriteBehind() {
  {
    const LockGuard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Result<void> WriteBehind::submit(int fd, const std::string& path, std::size_t bytes, std::int64_t offset) {
  if (auto ok = drain(); !ok) return ok;
  {
    const LockGuard lock(mutex_);
    job_ = Job{fd, path, {buffer(), bytes}, offset};
  }
  changed_.notify_all();
  filling_ = 1 - filling_;
  return {};
}

Result<void> WriteBehind::drain() {
  Lock lock(mutex_);
  changed_.wait(lock, [&]() REGROUP_REQUIRES(mutex_) { return !job_; });
  if (error_) return *error_;
  return {};
}

void WriteBehind::run() {
  Lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&]() REGROUP_REQUIRES(mutex_) { return stop_ || job_; });
    if (!job_) return;
    const Job job = *job_;
    lock.unlock();
    auto written = write_at(job.fd, job.path, job.bytes, job.offset);
    lock.lock();
    if (!written && !error_) error_ = written.error();
    job_.reset();
    changed_.notify_all();
  }
}

}  // namespace regroup::checkpoint
