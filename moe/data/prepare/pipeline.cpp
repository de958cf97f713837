#include "moe/data/prepare/pipeline.hpp"

#include "base/mutex.hpp"

#include <deque>
#include <optional>
#include <thread>

namespace regroup {
namespace {

struct Slot {
  Batch batch;
  EncodedBatch encoded;
  bool done = false;
};

class Pipeline {
 public:
  Pipeline(DocumentReader& reader, std::atomic<bool>& stop, const Tokenizer& tokenizer, const EncodeOptions& options,
           int threads)
      : reader_(reader),
        stop_(stop),
        tokenizer_(tokenizer),
        options_(options),
        slots_(static_cast<std::size_t>(2 * threads + 2)) {
    for (Slot& slot : slots_) free_.push_back(&slot);
    threads_.emplace_back([this] { read(); });
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { encode(); });
  }
  ~Pipeline() {
    stop_ = true;
    {
      const LockGuard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  Result<void> run(const std::function<Result<void>(EncodedBatch&)>& take) {
    for (;;) {
      Lock lock(mutex_);
      changed_.wait(lock, [&]() REGROUP_REQUIRES(mutex_) { return order_.empty() ? ended_ : order_.front()->done; });
      if (order_.empty()) return failure_ ? Result<void>(*failure_) : Result<void>{};
      Slot* slot = order_.front();
      order_.pop_front();
      lock.unlock();
      if (auto taken = take(slot->encoded); !taken) return taken;
      lock.lock();
      free_.push_back(slot);
      lock.unlock();
      changed_.notify_all();
    }
  }

 private:
  void read() {
    for (;;) {
      Lock lock(mutex_);
      changed_.wait(lock, [&]() REGROUP_REQUIRES(mutex_) { return over_ || !free_.empty(); });
      if (over_) return;
      Slot* slot = free_.back();
      free_.pop_back();
      lock.unlock();
      slot->done = false;
      const auto more = reader_.next(slot->batch);
      lock.lock();
      if (more && *more) {
        order_.push_back(slot);
        waiting_.push_back(slot);
      } else {
        if (!more) failure_ = more.error();
        ended_ = true;
      }
      const bool ended = ended_;
      lock.unlock();
      changed_.notify_all();
      if (ended) return;
    }
  }
  void encode() {
    const auto encoder = tokenizer_.encoder();
    for (;;) {
      Lock lock(mutex_);
      changed_.wait(lock, [&]() REGROUP_REQUIRES(mutex_) { return over_ || ended_ || !waiting_.empty(); });
      if (over_ || waiting_.empty()) return;
      Slot* slot = waiting_.front();
      waiting_.pop_front();
      lock.unlock();
      encode_batch(slot->batch, options_, tokenizer_, *encoder, slot->encoded);
      lock.lock();
      slot->done = true;
      lock.unlock();
      changed_.notify_all();
    }
  }

  DocumentReader& reader_;
  std::atomic<bool>& stop_;
  const Tokenizer& tokenizer_;
  const EncodeOptions& options_;
  std::vector<Slot> slots_;
  Mutex mutex_;
  Condition changed_;
  std::vector<Slot*> free_ REGROUP_GUARDED_BY(mutex_);
  std::deque<Slot*> order_ REGROUP_GUARDED_BY(mutex_), waiting_ REGROUP_GUARDED_BY(mutex_);
  bool ended_ REGROUP_GUARDED_BY(mutex_) = false, over_ REGROUP_GUARDED_BY(mutex_) = false;
  std::optional<Error> failure_ REGROUP_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace

Result<void> encode_in_order(DocumentReader& reader, std::atomic<bool>& stop, const Tokenizer& tokenizer,
                             const EncodeOptions& options, int threads,
                             const std::function<Result<void>(EncodedBatch&)>& take) {
  Pipeline pipeline(reader, stop, tokenizer, options, threads);
  return pipeline.run(take);
}

}  // namespace regroup
