// One address code for the mesh and the peer port: what listens is reached, by whatever kind of address.
#include "net/address.hpp"

#include "net/peer_socket.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace regroup {
namespace {

using namespace std::chrono_literals;
constexpr auto kGenerous = 30s;

class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/net_test_XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string socket() const { return "unix:" + path_ + "/socket"; }
  [[nodiscard]] std::string file() const { return path_ + "/socket"; }

 private:
  std::string path_;
};

// The machine that tests this may have no IPv6.
bool has_ipv6() {
  auto probe = listen_on("tcp:[::1]:0", Buffers::kSystem);
  if (!probe) return false;
  close_listening(*probe);
  return true;
}

void expect_reached(ListeningSocket& listener) {
  auto dialled = PeerSocket::dial(listener.address, kGenerous);
  ASSERT_TRUE(dialled) << to_string(dialled.error());
  PeerSocket accepted(::accept(listener.fd, nullptr, nullptr), kGenerous);
  ASSERT_GE(accepted.fd(), 0) << "dial() has waited for the connection";
  ASSERT_TRUE(dialled->write_frame("hello"));
  const auto heard = accepted.read_frame(100);
  ASSERT_TRUE(heard) << to_string(heard.error());
  EXPECT_EQ(*heard, "hello");
}

TEST(Address, what_listens_is_reached_at_the_address_it_gives) {
  const TempDir dir;
  std::vector<std::string> addresses = {dir.socket(), "tcp:127.0.0.1:0", "tcp:localhost:0"};
  if (has_ipv6()) addresses.insert(addresses.end(), {"tcp:[::1]:0", "tcp:::1:0"});
  for (const std::string& address : addresses) {
    auto listener = listen_on(address, Buffers::kLarge);
    ASSERT_TRUE(listener) << address << ": " << to_string(listener.error());
    EXPECT_FALSE(listener->address.ends_with(":0")) << listener->address;
    expect_reached(*listener);
    close_listening(*listener);
  }
}

TEST(Address, a_socket_file_is_its_owners_alone_and_goes_with_the_listener) {
  const TempDir dir;
  auto listener = listen_on(dir.socket(), Buffers::kSystem);
  ASSERT_TRUE(listener);
  struct stat about {};
  ASSERT_EQ(::stat(dir.file().c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  close_listening(*listener);
  EXPECT_FALSE(std::filesystem::exists(dir.file()));
}

TEST(Address, a_stale_socket_file_is_replaced) {
  const TempDir dir;
  const auto dead = listen_on(dir.socket(), Buffers::kSystem);
  ASSERT_TRUE(dead);
  ::close(dead->fd);  // as the kernel does for one that was killed: the file stays
  auto listener = listen_on(dir.socket(), Buffers::kSystem);
  ASSERT_TRUE(listener) << to_string(listener.error());
  expect_reached(*listener);
  close_listening(*listener);
}

TEST(Address, where_somebody_listens_a_second_one_is_a_conflict_and_the_first_stays) {
  const TempDir dir;
  for (const std::string& address : {dir.socket(), std::string("tcp:127.0.0.1:0")}) {
    auto first = listen_on(address, Buffers::kSystem);
    ASSERT_TRUE(first);
    const auto second = listen_on(first->address, Buffers::kSystem);
    ASSERT_FALSE(second) << address;
    EXPECT_EQ(second.error().code, Code::kConflict);
    const int probe = ::accept(first->fd, nullptr, nullptr);  // the second one asked whether anybody is there
    if (probe >= 0) ::close(probe);
    expect_reached(*first);
    close_listening(*first);
  }
}

TEST(Address, a_file_that_is_no_socket_is_left_alone) {
  const TempDir dir;
  std::filesystem::create_directory(dir.file());
  EXPECT_EQ(listen_on(dir.socket(), Buffers::kSystem).error().code, Code::kConflict);
  EXPECT_TRUE(std::filesystem::exists(dir.file()));
}

TEST(Address, what_is_no_address_is_bad_input) {
  for (const std::string& text : {std::string(), std::string("unix:"), std::string("tcp:host"), std::string("tcp::"),
                                  std::string("tcp:127.0.0.1:port"), std::string("tcp:127.0.0.1:65536"),
                                  std::string("udp:1:2"), "unix:/tmp/" + std::string(120, 'x')}) {
    EXPECT_EQ(parse_address(text).error().code, Code::kBadInput) << text;
    EXPECT_EQ(PeerSocket::dial(text, 1s).error().code, Code::kBadInput) << text;
  }
}

TEST(Address, a_host_that_others_dial_has_no_port_and_is_not_every_address) {
  for (const char* host :
       {"10.0.1.1", "node-1", "node-1.example.org", "::1", "[::1]", "fe80::1%eth0", "[fe80::1%eth0]"})
    EXPECT_TRUE(check_host(host)) << host;
  for (const char* host : {"127.0.0.1:80", "tcp:10.0.1.1", "tcp:10.0.1.1:80", "[::1]:80", "[::1", "::1]", "http://n1",
                           "n1:80", "[]", ""}) {
    ASSERT_FALSE(check_host(host)) << host;
    EXPECT_EQ(check_host(host).error().context, "is a host without a port, not '" + std::string(host) + "'");
  }
  for (const char* host : {"0.0.0.0", "0", "::", "[::]", "0:0:0:0:0:0:0:0", "::ffff:0.0.0.0"}) {
    ASSERT_FALSE(check_host(host)) << host;
    EXPECT_TRUE(check_host(host).error().context.starts_with("must be reachable from other nodes")) << host;
  }
}

TEST(Address, nobody_at_an_address_is_unavailable) {
  const TempDir dir;
  EXPECT_EQ(PeerSocket::dial(dir.socket(), kGenerous).error().code, Code::kUnavailable);
  auto listener = listen_on("tcp:127.0.0.1:0", Buffers::kSystem);
  ASSERT_TRUE(listener);
  const std::string address = listener->address;
  close_listening(*listener);
  EXPECT_EQ(PeerSocket::dial(address, kGenerous).error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace regroup
