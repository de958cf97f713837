// io_thread.hpp: the one thread that moves bytes: an epoll loop over connections, handshakes, heartbeats and commands
// of the main thread.
//
// Everything that ends a transfer early happens on this thread, a newer epoch as well as a lost peer. So no transfer
// can end while its buffer is being read or written, and once it has ended nobody touches the buffer.
//
// The class has four files: io_thread.cpp (the loop and its commands), io_serve.cpp (reading and writing),
// io_epochs.cpp (how an epoch is entered and older ones are cut off) and io_links.cpp (how peers become connected,
// prove to be alive, and get lost).
#pragma once

#include "base/guarded.hpp"
#include "base/mutex.hpp"
#include "base/now.hpp"
#include "mesh/connector.hpp"
#include "mesh/enter_request.hpp"

#include <thread>
#include <variant>

namespace regroup::mesh {

// What both threads look at.
struct MeshState {
  explicit MeshState(const Options& options)
      : hang_limit_ms(50 * options.heartbeat.count()), unmatched(options.max_unmatched_bytes) {}

  std::atomic<std::uint64_t> newest{0};  // announced or entered
  std::atomic<std::uint64_t> progress{0};
  std::atomic<bool> waiting{false};
  std::atomic<std::int64_t> hang_limit_ms;
  MeshCounters counters;
  Unmatched unmatched;
};

class IoThread final : public Connector::Owner {
 public:
  struct Announce {
    Epoch newer;
  };
  struct Warm {
    std::vector<ResolvedPeer> peers;
  };
  struct Enter {
    std::shared_ptr<EnterRequest> request;
  };
  struct SendLarge {
    std::shared_ptr<Link> link;
    Lane lane;
    TransferPtr send;
  };
  struct SendSmall {
    std::shared_ptr<Connection> connection;
    std::vector<std::byte> bytes;
  };
  // a receive was posted: paused connections may go on
  struct Resume {};
  using Command = std::variant<Announce, Warm, Enter, SendLarge, SendSmall, Resume>;

  IoThread(const Options& options, Events events, MeshState& state);
  ~IoThread();

  Result<std::string> start();                         // the address to dial
  void submit(Command command);                        // any thread
  [[nodiscard]] bool connected(const WorkerId& peer);  // any thread

 private:
  void run();
  void wait_and_dispatch();
  void take_commands();
  void on(Announce& command);
  void on(Warm& command);
  void on(Enter& command);
  void on(SendLarge& command);
  void on(SendSmall& command);
  void on(Resume&) { resume(); }

  // How connections are read and written (io_serve.cpp).
  void list(const std::shared_ptr<Connection>& connection);
  void serve(std::vector<std::shared_ptr<Connection>>& ready, int most_reads, int most_writes);
  bool serve_one(const std::shared_ptr<Connection>& connection, int most_reads, int most_writes);
  bool read_from(const std::shared_ptr<Connection>& connection, int most_reads);
  void resume();
  void heard(const Connection& connection);
  void take_beat(Connection& connection);
  bool take_answers(Connection& connection);

  // How epochs are entered and cut off (io_epochs.cpp; on(Announce) and on(Enter) too).
  static Error newer_epoch(Epoch epoch);
  void cut_all(Epoch below, const Error& why);
  void finish_enter(Result<void> outcome);
  void check_enter();

  // How links come, prove to be alive and go (io_links.cpp).
  void tick();
  void send_beats();
  void judge(const std::shared_ptr<Link>& link);
  void judge_never_met();
  std::shared_ptr<Link> find_link(const WorkerId& id) override;
  std::shared_ptr<Link> make_link(const WorkerId& id) override;
  void on_connection(const std::shared_ptr<Link>& link, Lane lane, int fd, const std::string& first_bytes) override;
  void on_refused(const std::shared_ptr<Link>& link, const std::string& reason) override;
  void on_broken(const std::shared_ptr<Connection>& connection, const std::string& reason);
  void disconnect(const std::shared_ptr<Link>& link, const Error& why);
  void lose_transfers(const std::shared_ptr<Link>& link, const Error& why);
  void report_lost(const std::shared_ptr<Link>& link, Evidence evidence);
  void report_connected(const std::shared_ptr<Link>& link);
  void report_never_met(const std::shared_ptr<Link>& link);
  void report_gap(const std::shared_ptr<Link>& link);
  void forget_strangers();
  void want(const std::vector<ResolvedPeer>& peers);

  const Options options_;
  const Events events_;
  MeshState& state_;
  int epoll_ = -1, wake_ = -1;
  EpollTarget wake_target_{EpollTarget::Kind::kWake};
  std::unique_ptr<Connector> connector_;

  OneWriter<std::map<WorkerId, std::shared_ptr<Link>>> links_;  // the I/O thread writes

  Mutex commands_mutex_;
  // Needs no bound: each is a call of this worker's own threads, such as a send of the step under way, whose end they
  // wait for; the I/O thread takes all at once.
  std::vector<Command> commands_ REGROUP_GUARDED_BY(commands_mutex_);
  std::atomic<bool> asleep_{false}, stopping_{false};

  Epoch entered_, floor_;
  std::shared_ptr<EnterRequest> entering_;
  std::vector<std::shared_ptr<Connection>> ready_control_, ready_bulk_, paused_, closed_;
  ReadScratch scratch_;
  RunningClock running_clock_;
  Pulse::Time running_{}, meet_until_ = Pulse::Time::max();
  Clock::time_point now_, next_tick_, next_beat_;
  std::thread thread_;
};

}  // namespace regroup::mesh
