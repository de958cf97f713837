#include "store/etcd/tls_probe.hpp"

#include "store/etcd/open_ssl.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace regroup {
namespace {

class Connection {
 public:
  Connection(const HostPort& at, std::chrono::milliseconds limit) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (::getaddrinfo(at.host.c_str(), std::to_string(at.port).c_str(), &hints, &found) != 0) return;
    for (const addrinfo* one = found; one != nullptr && fd_ < 0; one = one->ai_next) {
      fd_ = ::socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, one->ai_protocol);
      if (fd_ < 0) continue;
      const auto whole = std::chrono::floor<std::chrono::seconds>(limit);
      const timeval wait{whole.count(), std::chrono::microseconds(limit - whole).count()};
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
      ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
      if (::connect(fd_, one->ai_addr, one->ai_addrlen) == 0) continue;
      ::close(fd_);
      fd_ = -1;
    }
    ::freeaddrinfo(found);
  }
  ~Connection() {
    if (fd_ >= 0) ::close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

ContextPtr context_of(const std::optional<TlsFiles>& tls) {
  ContextPtr context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);  // the verdict is asked for afterwards
  if (!tls) return context;
  X509_STORE* store = SSL_CTX_get_cert_store(context.get());
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);  // as gRPC does
  for (const auto& ca : certificates_in(tls->ca)) X509_STORE_add_cert(store, ca.get());
  if (tls->cert.empty()) return context;
  const auto chain = certificates_in(tls->cert);
  SSL_CTX_use_certificate(context.get(), chain.front().get());
  for (std::size_t i = 1; i < chain.size(); ++i) SSL_CTX_add1_chain_cert(context.get(), chain[i].get());
  SSL_CTX_use_PrivateKey(context.get(), key_in(tls->key).get());
  return context;
}

std::string reason_of_failure() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason == nullptr ? "" : reason;
}

std::string one_line(const X509_NAME* name) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253);
  char* text = nullptr;
  const auto size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

// etcd closes the connection of a client whose certificate it does not take only after the handshake.
std::string refusal(SSL* connection, bool shows_certificate) {
  char byte = 0;
  if (SSL_read(connection, &byte, 1) > 0) return {};
  const std::string reason = reason_of_failure();
  if (reason.find("alert") == std::string::npos) return {};
  return shows_certificate ? "it refuses the certificate of --etcd-cert (" + reason + ")"
                           : "it wants a certificate of ours (" + reason + "): give --etcd-cert and --etcd-key";
}

std::string no_handshake(const std::string& reason) {
  if (reason.find("alert") != std::string::npos) return "the TLS handshake failed: " + reason;
  return "no TLS is spoken there" + (reason.empty() ? "" : " (" + reason + ")") +
         ": for plain text write http:// or nothing before HOST:PORT, and leave --etcd-ca out";
}

}  // namespace

std::string probe_tls(const HostPort& at, const std::optional<TlsFiles>& tls, std::chrono::milliseconds limit) {
  const Connection socket(at, limit);
  if (socket.fd() < 0) return {};
  const ContextPtr context = context_of(tls);
  const ConnectionPtr connection(SSL_new(context.get()));
  const unsigned char http2[] = {2, 'h', '2'};
  SSL_set_alpn_protos(connection.get(), http2, sizeof http2);
  SSL_set_tlsext_host_name(connection.get(), at.host.c_str());
  SSL_set_fd(connection.get(), socket.fd());
  ERR_clear_error();
  const bool speaks_tls = SSL_connect(connection.get()) == 1;
  if (!tls)
    return speaks_tls ? "it speaks TLS: write https:// before HOST:PORT, and give --etcd-ca FILE unless this system "
                        "trusts its CA"
                      : "";
  if (!speaks_tls) return no_handshake(reason_of_failure());
  if (const long verdict = SSL_get_verify_result(connection.get()); verdict != X509_V_OK) {
    const CertificatePtr its(SSL_get1_peer_certificate(connection.get()));
    const bool of_its_time = verdict == X509_V_ERR_CERT_HAS_EXPIRED || verdict == X509_V_ERR_CERT_NOT_YET_VALID;
    return std::string("its certificate is not trusted: ") + X509_verify_cert_error_string(verdict) + " (of " +
           one_line(X509_get_subject_name(its.get())) + ", issued by " + one_line(X509_get_issuer_name(its.get())) +
           (of_its_time ? "); give etcd another one" : "); --etcd-ca names the CA to trust");
  }
  return refusal(connection.get(), !tls->cert.empty());
}

}  // namespace regroup
