// open_ssl.hpp: OpenSSL's objects with an owner, and certificates and keys read from PEM texts. Private to this folder.
#pragma once

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

namespace regroup {

template <auto Free>
struct Frees {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using CertificatePtr = std::unique_ptr<X509, Frees<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Frees<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, Frees<BIO_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, Frees<SSL_CTX_free>>;
using ConnectionPtr = std::unique_ptr<SSL, Frees<SSL_free>>;

inline BioPtr bio_of(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

inline std::vector<CertificatePtr> certificates_in(const std::string& pem) {
  std::vector<CertificatePtr> all;
  const BioPtr bio = bio_of(pem);
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) all.emplace_back(one);
  ERR_clear_error();
  return all;
}

// Null: none, or one with a password.
inline KeyPtr key_in(const std::string& pem) {
  const auto no_password = [](char*, int, int, void*) { return -1; };
  KeyPtr key(PEM_read_bio_PrivateKey(bio_of(pem).get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  return key;
}

}  // namespace regroup
