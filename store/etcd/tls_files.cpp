#include "store/etcd/tls_files.hpp"

#include "store/etcd/open_ssl.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace regroup {
namespace {

// Debian, Fedora, SUSE, Alpine. An environment variable could name another one unseen, so none is asked.
constexpr const char* kSystemBundles[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                          "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Error wrong(const char* option, const std::string& path, const std::string& what) {
  return {Code::kBadInput, std::string(option) + " " + path + ": " + what};
}

Result<std::string> read_pem(const char* option, const std::string& path) {
  errno = 0;
  std::string text = text_of(path);
  if (text.empty()) return wrong(option, path, errno != 0 ? std::strerror(errno) : "the file is empty");
  return text;
}

}  // namespace

Result<TlsFiles> read_tls_files(const EtcdOptions& options) {
  TlsFiles files;
  if (options.ca_file.empty()) {
    for (const char* bundle : kSystemBundles)
      if (files.ca.empty()) files.ca = text_of(bundle);
    if (files.ca.empty())
      return Error{Code::kBadInput, std::string("https:// without --etcd-ca asks for the CAs that this system trusts, "
                                                "and there are none (") +
                                        kSystemBundles[0] + "); give --etcd-ca FILE"};
  } else {
    auto ca = read_pem("--etcd-ca", options.ca_file);
    if (!ca) return ca.error();
    if (certificates_in(*ca).empty())
      return wrong("--etcd-ca", options.ca_file, "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
    files.ca = std::move(*ca);
  }
  if (options.cert_file.empty()) return files;
  auto cert = read_pem("--etcd-cert", options.cert_file);
  if (!cert) return cert.error();
  auto key = read_pem("--etcd-key", options.key_file);
  if (!key) return key.error();
  const auto certificates = certificates_in(*cert);
  if (certificates.empty())
    return wrong("--etcd-cert", options.cert_file, "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
  const KeyPtr private_key = key_in(*key);
  if (!private_key)
    return wrong("--etcd-key", options.key_file,
                 "holds no private key in PEM form that can be read without a password");
  if (X509_check_private_key(certificates.front().get(), private_key.get()) != 1)
    return wrong("--etcd-key", options.key_file, "is not the key of --etcd-cert " + options.cert_file);
  files.cert = std::move(*cert);
  files.key = std::move(*key);
  return files;
}

}  // namespace regroup
