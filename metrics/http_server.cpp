#include "metrics/http_server.hpp"

#include "base/address_text.hpp"
#include "metrics/exporter.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <cstdint>
#include <map>
#include <thread>
#include <tuple>

namespace regroup::metrics {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Answer = http::response<http::string_body>;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kMaxRequest = 8192;
constexpr int kMaxConnections = 32;
constexpr std::chrono::seconds kPatience{5};
constexpr const char* kPlain = "text/plain; charset=utf-8";

Answer answer(http::status status, const char* type, std::string body) {
  Answer out(status, 11);
  out.set(http::field::content_type, type);
  out.content_length(body.size());
  out.keep_alive(false);
  out.set("X-Content-Type-Options", "nosniff");
  out.body() = std::move(body);
  return out;
}

// What changes from one moment to the next: no proxy may keep it.
Answer fresh_answer(http::status status, const char* type, std::string body) {
  Answer out = answer(status, type, std::move(body));
  out.set(http::field::cache_control, "no-store");
  return out;
}

Answer answer_to(const http::request_header<>& request, const HttpPages& pages) {
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    Answer out = answer(http::status::method_not_allowed, kPlain, "only GET\n");
    out.set(http::field::allow, "GET, HEAD");
    return out;
  }
  const auto path = request.target().substr(0, request.target().find('?'));
  if (path == "/metrics" && pages.metrics) return answer(http::status::ok, kContentType, pages.metrics());
  if (path == "/status" && pages.status) return fresh_answer(http::status::ok, "application/json", pages.status());
  if (path == "/healthz" && pages.health) {
    const Health health = pages.health();
    return fresh_answer(health.ok ? http::status::ok : http::status::service_unavailable, kPlain,
                        (health.ok ? "ok: " : "not ok: ") + health.text + "\n");
  }
  return answer(http::status::not_found, kPlain, "there are /metrics, /healthz and /status\n");
}

Answer refusal(error_code why) {
  if (why == http::error::header_limit || why == http::error::buffer_overflow)
    return answer(http::status::request_header_fields_too_large, kPlain, "too long\n");
  return answer(http::status::bad_request, kPlain, "this is not HTTP/1.1\n");
}

// The connections whose peer has yet to say something, by their order of arrival.
using Silent = std::map<std::uint64_t, beast::tcp_stream*>;

class SilentWhile {
 public:
  SilentWhile(Silent& all, beast::tcp_stream& stream, std::uint64_t number) : all_(all), number_(number) {
    all_[number] = &stream;
  }
  ~SilentWhile() { all_.erase(number_); }
  SilentWhile(const SilentWhile&) = delete;
  SilentWhile& operator=(const SilentWhile&) = delete;

 private:
  Silent& all_;
  const std::uint64_t number_;
};

// One connection: reads a head, answers, closes; after kPatience it ends whatever the other side does.
asio::awaitable<void> serve(tcp::socket socket, const HttpPages& pages, Silent& silent, std::uint64_t number,
                            [[maybe_unused]] std::shared_ptr<void> counted) {
  beast::tcp_stream stream(std::move(socket));
  stream.expires_after(kPatience);
  beast::flat_buffer buffer(kMaxRequest);
  http::request_parser<http::empty_body> parser;
  parser.header_limit(kMaxRequest);
  error_code unread;
  {
    const SilentWhile waiting(silent, stream, number);
    unread = std::get<0>(co_await http::async_read_header(stream, buffer, parser, kAwait));
  }
  const bool malformed = unread && unread != http::error::end_of_stream &&
                         unread.category() == make_error_code(http::error::bad_method).category();
  if (unread && !malformed) co_return;  // gone, or too slow
  Answer out = malformed ? refusal(unread) : answer_to(parser.get(), pages);
  if (parser.get().method() == http::verb::head) out.body().clear();  // its length stays in the head
  const auto [unwritten, bytes_written] = co_await http::async_write(stream, out, kAwait);
  error_code ignored;
  stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
  // Closing a socket with unread bytes in it resets the connection, and the answer would be lost with it.
  const bool more_may_come = malformed || out.result() == http::status::method_not_allowed;
  const SilentWhile waiting(silent, stream, number);
  for (bool more = more_may_come && !unwritten; more;) {
    buffer.clear();
    const auto [ended, bytes] = co_await stream.async_read_some(buffer.prepare(kMaxRequest), kAwait);
    more = !ended;
  }
}

}  // namespace

struct HttpServer::Impl {
  HttpPages pages;
  // Before the context, whose end destroys the connections.
  int alive = 0;
  Silent silent;
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  int port = 0;
  std::thread thread;

  asio::awaitable<void> accept() {
    for (std::uint64_t number = 0;; ++number) {
      auto [error, socket] = co_await acceptor.async_accept(kAwait);
      if (error == asio::error::operation_aborted) co_return;
      if (error) {  // out of descriptors: do not spin
        asio::steady_timer pause(context, std::chrono::milliseconds(100));
        co_await pause.async_wait(kAwait);
        continue;
      }
      if (alive >= kMaxConnections) {  // the oldest that says nothing makes room
        if (silent.empty()) continue;  // closes the new one
        silent.begin()->second->close();
        silent.erase(silent.begin());
      }
      ++alive;
      std::shared_ptr<void> counted(nullptr, [this](void*) { --alive; });
      asio::co_spawn(context, serve(std::move(socket), pages, silent, number, std::move(counted)), asio::detached);
    }
  }
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  impl_->context.stop();
  impl_->thread.join();
}

int HttpServer::port() const { return impl_->port; }

Result<std::unique_ptr<HttpServer>> HttpServer::start(const std::string& address, HttpPages pages) {
  const auto bad = [&](const std::string& why) {
    return Error{Code::kBadInput, "cannot serve metrics on " + address + ": " + why};
  };
  const auto at = parse_host_port(address);
  if (!at) return bad("give HOST:PORT, such as 127.0.0.1:9100, and a port of 0 to 65535");
  error_code error;
  const auto ip = asio::ip::make_address(at->host == "localhost" ? "127.0.0.1" : at->host, error);
  if (error) return bad("give an IP address, or localhost");
  auto impl = std::make_unique<Impl>();
  impl->pages = std::move(pages);
  const tcp::endpoint endpoint(ip, at->port);
  impl->acceptor.open(endpoint.protocol(), error);
  if (!error) impl->acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) impl->acceptor.bind(endpoint, error);
  if (!error) impl->acceptor.listen(64, error);
  if (error == asio::error::address_in_use)
    return bad("the port is in use; choose another one (0 = any free one) or stop what listens there");
  if (error) return bad(error.message());
  impl->port = impl->acceptor.local_endpoint().port();
  asio::co_spawn(impl->context, impl->accept(), asio::detached);
  impl->thread = std::thread([at = impl.get()] { at->context.run(); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

}  // namespace regroup::metrics
