// etcd_rpc.hpp: single calls and streams to one endpoint, as plain values. Private to this folder. Only its .cpp,
// etcd_channel, etcd_streams and etcd_wire know gRPC.
//
// Thread: any. A call is made once, on the endpoint named, and ends by its deadline. Errors: kUnavailable = certainly
// nothing happened; kUnknown = it may have; kTimeout (of a read); kNotFound (lease), kBadInput (etcd refuses it for
// good), kConflict (the revision asked for is compacted).
#pragma once

#include "store/etcd/etcd_store.hpp"
#include "store/store.hpp"

#include <thread>

namespace regroup {

using Deadline = std::chrono::steady_clock::time_point;

struct RangePage {
  std::vector<KeyValue> keys;
  std::int64_t revision = 0;
  std::uint64_t cluster = 0;
  bool more = false;
};

struct LeaseGranted {
  std::int64_t id = 0;
  std::chrono::seconds ttl{};
};

struct WatchReply {
  std::uint64_t cluster = 0;
  std::int64_t revision = 0;
  std::int64_t compact_revision = 0;
  bool created = false;
  bool canceled = false;
  bool fragment = false;  // more of the same revision follows
  std::string cancel_reason;
  std::vector<WatchEvent> events;
};

struct KeepAliveReply {
  std::int64_t id = 0;
  std::chrono::seconds ttl{};  // 0: the server knows no such lease
};

// One attempt on one endpoint. cancel() from any thread, at any time, wakes the others.
class EtcdStream {
 public:
  virtual ~EtcdStream() = default;
  virtual void cancel() = 0;
  // Why it ended. Once, after read or write failed, by the reading thread.
  virtual std::string reason() = 0;
};

class WatchStream : public EtcdStream {
 public:
  virtual bool start(const std::string& key, const std::string& range_end, std::int64_t start_revision) = 0;
  virtual bool read(WatchReply& reply) = 0;
};

class KeepAliveStream : public EtcdStream {
 public:
  virtual bool start() = 0;
  virtual bool write(std::int64_t lease) = 0;    // one thread
  virtual bool read(KeepAliveReply& reply) = 0;  // another
};

class EtcdRpc {
 public:
  static Result<std::shared_ptr<EtcdRpc>> open(const std::string& endpoints, const EtcdOptions& options);
  virtual ~EtcdRpc() = default;
  [[nodiscard]] virtual int num_endpoints() const = 0;
  [[nodiscard]] virtual const std::string& name(int endpoint) const = 0;
  // An endpoint that is connected, the present favourite first. kUnavailable when there is none by the deadline.
  virtual Result<int> connected(Deadline deadline) = 0;
  // This endpoint disappointed: others are tried first, and its streams are cancelled (unless it is the only one).
  virtual void failed(int endpoint) = 0;

  virtual Result<RangePage> range(int endpoint, const std::string& key, const std::string& range_end,
                                  std::int64_t limit, std::int64_t revision, Deadline deadline) = 0;
  virtual Result<TxnResult> txn(int endpoint, const std::vector<Compare>& when, const std::vector<Op>& then,
                                const std::vector<Op>& otherwise, Deadline deadline) = 0;
  virtual Result<LeaseGranted> grant(int endpoint, std::chrono::seconds ttl, Deadline deadline) = 0;
  virtual Result<void> revoke(int endpoint, std::int64_t lease, Deadline deadline) = 0;
  virtual std::unique_ptr<WatchStream> watch_stream(int endpoint, Deadline end) = 0;
  virtual std::unique_ptr<KeepAliveStream> keep_alive_stream(int endpoint) = 0;
};

// The end of the range of all keys that begin with `prefix`, as etcd wants it ("\0" for all there are).
std::string range_end_of(const std::string& prefix);
// The first key of that range.
std::string range_begin_of(const std::string& prefix);

// All keys under the prefix at one revision, page by page, on whichever endpoint answers until the deadline. `cluster`
// is filled in when given.
Result<Listing> list_all(EtcdRpc& rpc, const std::string& prefix, Deadline deadline, std::uint64_t* cluster = nullptr);

// so that an etcd which refuses at once is not asked in a tight loop
inline constexpr std::chrono::milliseconds kRetryPause{20};

// A read: tried on one endpoint after the other until the deadline.
template <class Call>
auto read_somewhere(EtcdRpc& rpc, Deadline deadline, const Call& call) -> decltype(call(0, deadline)) {
  for (;;) {
    const Result<int> endpoint = rpc.connected(deadline);
    if (!endpoint) return endpoint.error();
    const auto now = std::chrono::steady_clock::now();
    const auto share = rpc.num_endpoints() > 1 ? (deadline - now) / 2 : deadline - now;
    auto result = call(*endpoint, now + share);
    if (result || (result.error().code != Code::kUnavailable && result.error().code != Code::kTimeout)) return result;
    rpc.failed(*endpoint);
    if (std::chrono::steady_clock::now() + kRetryPause >= deadline) return result;
    std::this_thread::sleep_for(kRetryPause);
  }
}

}  // namespace regroup
