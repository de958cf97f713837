// http_server.hpp: GET /metrics, /healthz and /status on a thread of its own. Knows no format: the callbacks give the
// bodies.
//
// The callbacks run on the server's thread, one at a time, and must be quick. One request a connection; at most 32
// connections, 8 KiB of request, 5 s each: what is above is closed. No authentication and nothing that changes
// anything: bind it to an address that only friends reach.
#pragma once

#include "base/result.hpp"

#include <functional>
#include <memory>
#include <string>

namespace regroup::metrics {

struct Health {
  bool ok = true;
  std::string text;  // a sentence, for people
};

struct HttpPages {
  std::function<std::string()> metrics;  // Prometheus text
  std::function<Health()> health;        // 200 or 503
  std::function<std::string()> status;   // JSON; empty function = 404
};

class HttpServer {
 public:
  // `address` = HOST:PORT, as a user writes it: an IP address or localhost; port 0 = a free one. kBadInput: the address
  // is none, or the port is in use; says which and what to do.
  static Result<std::unique_ptr<HttpServer>> start(const std::string& address, HttpPages pages);
  ~HttpServer();  // no callback runs afterwards
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  [[nodiscard]] int port() const;

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace regroup::metrics
