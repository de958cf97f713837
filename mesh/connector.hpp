// connector.hpp: dials peers, and turns those who dial us into authenticated connections. I/O thread only.
//
// Two workers may dial each other at the same moment, but one connection per lane must stay, and both sides must choose
// the same one. The rule: the connection that the worker with the greater id dialled stays. As dialler it always gets
// through; as listener it answers "yield" while its own dial is past HELLO.
//
// A peer whose connection broke on its side alone dials anew while ours still looks alive: the new connection replaces
// the one that was there when its HELLO came.
#pragma once

#include "mesh/handshake.hpp"
#include "mesh/link.hpp"

#include <map>
#include <set>

namespace regroup::mesh {

struct HandshakeSocket : EpollTarget {
  HandshakeSocket(int socket, Handshake h) : EpollTarget(Kind::kHandshake), fd(socket), handshake(std::move(h)) {}
  int fd;
  Handshake handshake;
  std::shared_ptr<Link> link;  // of a dialler
  bool connecting = false;     // connect() has not come back yet
  bool hello_sent = false;
  std::uint64_t seen_instance = 0;  // listener: our connection to that peer when its HELLO came
  std::chrono::steady_clock::time_point deadline;
};

class Connector {
 public:
  using Time = std::chrono::steady_clock::time_point;

  struct Owner {
    virtual std::shared_ptr<Link> find_link(const WorkerId& id) = 0;  // null when unknown
    virtual std::shared_ptr<Link> make_link(const WorkerId& id) = 0;
    // `fd` is registered with epoll and now the owner's. A connection that was there is replaced.
    virtual void on_connection(const std::shared_ptr<Link>& link, Lane lane, int fd,
                               const std::string& first_bytes) = 0;
    // Nobody listens there, or it does not want us.
    virtual void on_refused(const std::shared_ptr<Link>& link, const std::string& reason) = 0;

   protected:
    ~Owner() = default;
  };

  Connector(Owner& owner, int epoll_fd, WorkerId self, std::string secret, std::chrono::milliseconds heartbeat,
            MeshCounters& counters);
  ~Connector();

  Result<std::string> listen(const std::string& address);  // the address to dial
  // Dials the lanes of `link` that are missing, until it is connected or its wish is kNone.
  void want(const std::shared_ptr<Link>& link, Link::Wish wish, Time now);
  void stop(const std::shared_ptr<Link>& link);

  void on_listener(Time now);
  void on_event(HandshakeSocket* socket, std::uint32_t events, Time now);
  void tick(Time now);
  [[nodiscard]] Time next_tick() const;  // the soonest moment at which tick() has work
  void sweep() { closed_.clear(); }      // after a batch of events

 private:
  void watch_listener(bool on);
  void rest(Time now, const char* reason);
  void dial(const std::shared_ptr<Link>& link, Lane lane, Time now);
  void advance(HandshakeSocket* socket, Time now);
  void on_hello(HandshakeSocket* socket);
  bool decide(HandshakeSocket* socket, Time now);
  void accepted(HandshakeSocket* socket);
  void failed(const std::shared_ptr<Link>& link, Lane lane, Time now, bool refused, const std::string& reason);
  void drop_socket(HandshakeSocket* socket);
  int release_socket(HandshakeSocket* socket);
  static bool flush(HandshakeSocket* socket);

  Owner& owner_;
  const int epoll_fd_;
  const WorkerId self_;
  const std::string secret_;
  const std::chrono::milliseconds heartbeat_;
  MeshCounters& counters_;
  EpollTarget listener_target_{EpollTarget::Kind::kListener};
  ListeningSocket listener_;
  Time accept_again_ = Time::max();  // not before: accepting failed
  Time complain_again_{};
  std::map<HandshakeSocket*, std::unique_ptr<HandshakeSocket>> sockets_;
  std::vector<std::unique_ptr<HandshakeSocket>> closed_;  // events of this batch may still point at them
  std::set<std::shared_ptr<Link>> wanted_;
  std::size_t num_strangers_ = 0;
};

}  // namespace regroup::mesh
