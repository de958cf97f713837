#include "metrics/http_server.hpp"

#include "base/log.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <charconv>
#include <thread>

namespace regroup::metrics {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kMaxRequest = 8192;
constexpr int kMaxConnections = 32;
constexpr std::chrono::seconds kPatience{5};

std::string answer(const char* status, const std::string& type, const std::string& body, bool with_body,
                   const char* more = "") {
  std::string text = "HTTP/1.1 " + std::string(status) + "\r\nContent-Type: " + type +
                     "\r\nContent-Length: " + std::to_string(body.size()) +
                     "\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n" + more + "\r\n";
  if (with_body) text += body;
  return text;
}

std::string answer_to(const std::string& request, const HttpPages& pages) {
  const std::string plain = "text/plain; charset=utf-8";
  const std::size_t first = request.find(' ');
  const std::size_t second = first == std::string::npos ? first : request.find(' ', first + 1);
  if (second == std::string::npos || second > request.find("\r\n") ||
      !std::string_view(request).substr(second + 1).starts_with("HTTP/1."))
    return answer("400 Bad Request", plain, "this is not HTTP/1.1\n", true);
  const std::string method = request.substr(0, first);
  std::string path = request.substr(first + 1, second - first - 1);
  path = path.substr(0, path.find('?'));
  const bool body = method != "HEAD";
  if (method != "GET" && method != "HEAD")
    return answer("405 Method Not Allowed", plain, "only GET\n", true, "Allow: GET, HEAD\r\n");
  if (path == "/metrics" && pages.metrics)
    return answer("200 OK", "text/plain; version=0.0.4; charset=utf-8", pages.metrics(), body);
  if (path == "/status" && pages.status)
    return answer("200 OK", "application/json", pages.status(), body, "Cache-Control: no-store\r\n");
  if (path == "/healthz" && pages.health) {
    const Health health = pages.health();
    return answer(health.ok ? "200 OK" : "503 Service Unavailable", plain,
                  (health.ok ? "ok: " : "not ok: ") + health.text + "\n", body, "Cache-Control: no-store\r\n");
  }
  return answer("404 Not Found", plain, "there are /metrics, /healthz and /status\n", body);
}

// One connection: read a head, answer, close. Ends itself after kPatience whatever the other side does.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, const HttpPages& pages, int& alive)
      : socket_(std::move(socket)), timer_(socket_.get_executor()), pages_(pages), alive_(alive) {
    ++alive_;
  }
  ~Session() { --alive_; }

  void run() {
    timer_.expires_after(kPatience);
    timer_.async_wait([weak = weak_from_this()](error_code error) {
      const auto self = weak.lock();
      if (!error && self) self->close();
    });
    asio::async_read_until(
        socket_, asio::dynamic_buffer(request_, kMaxRequest), "\r\n\r\n",
        [self = shared_from_this()](error_code error, std::size_t) {
          if (error && error != asio::error::not_found) return self->close();
          const bool too_long = error == asio::error::not_found;
          self->answer_ =
              too_long ? answer("431 Request Header Fields Too Large", "text/plain; charset=utf-8", "too long\n", true)
                       : answer_to(self->request_, self->pages_);
          asio::async_write(self->socket_, asio::buffer(self->answer_), [self](error_code, std::size_t) {
            error_code ignored;
            self->socket_.shutdown(tcp::socket::shutdown_both, ignored);
            self->close();
          });
        });
  }

 private:
  void close() {
    error_code ignored;
    socket_.close(ignored);
    timer_.cancel();
  }

  tcp::socket socket_;
  asio::steady_timer timer_;
  const HttpPages& pages_;
  int& alive_;
  std::string request_;
  std::string answer_;
};

}  // namespace

struct HttpServer::Impl {
  HttpPages pages;
  int alive = 0;  // sessions; before the context, whose end destroys them
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  asio::steady_timer pause{context};
  int port = 0;
  std::thread thread;

  void accept() {
    acceptor.async_accept([this](error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (error) {  // out of descriptors: do not spin
        pause.expires_after(std::chrono::milliseconds(100));
        pause.async_wait([this](error_code cancelled) {
          if (!cancelled) accept();
        });
        return;
      }
      if (alive < kMaxConnections) std::make_shared<Session>(std::move(socket), pages, alive)->run();
      accept();
    });
  }
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  impl_->context.stop();
  impl_->thread.join();
}

int HttpServer::port() const { return impl_->port; }

Result<std::unique_ptr<HttpServer>> HttpServer::start(const std::string& host, int port, HttpPages pages) {
  const std::string where = host + ":" + std::to_string(port);
  error_code error;
  const auto address = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
  if (error || port < 0 || port > 65535)
    return Error{Code::kBadInput, "cannot serve metrics on " + where + ": give an IP address and a port of 0 to 65535"};
  auto impl = std::make_unique<Impl>();
  impl->pages = std::move(pages);
  const tcp::endpoint endpoint(address, static_cast<unsigned short>(port));
  impl->acceptor.open(endpoint.protocol(), error);
  if (!error) impl->acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) impl->acceptor.bind(endpoint, error);
  if (!error) impl->acceptor.listen(64, error);
  if (error == asio::error::address_in_use)
    return Error{Code::kBadInput,
                 "cannot serve metrics on " + where +
                     ": the port is in use; choose another one (0 = any free one) or stop what listens there"};
  if (error) return Error{Code::kBadInput, "cannot serve metrics on " + where + ": " + error.message()};
  impl->port = impl->acceptor.local_endpoint().port();
  impl->accept();
  impl->thread = std::thread([at = impl.get()] { at->context.run(); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(const std::string& address, HttpPages pages) {
  const auto colon = address.rfind(':');
  const char* end = address.data() + address.size();
  int port = -1;
  const auto parsed = colon == std::string::npos ? std::from_chars_result{end, std::errc::invalid_argument}
                                                 : std::from_chars(address.data() + colon + 1, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end)
    return Error{Code::kBadInput,
                 "'" + address + "' is no address to serve metrics on: give HOST:PORT, such as 127.0.0.1:9100"};
  return start(address.substr(0, colon), port, std::move(pages));
}

}  // namespace regroup::metrics
