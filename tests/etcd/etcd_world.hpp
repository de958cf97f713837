// etcd_world.hpp: a real etcd of this test's own, with two clients.
#pragma once

#include "base/check.hpp"
#include "cli/etcd/etcd_process.hpp"
#include "store/etcd/etcd_store.hpp"
#include "tests/etcd/etcd_tools.hpp"

#include <cstdio>

namespace regroup::testing {

inline std::unique_ptr<EtcdStore> open_store(const std::string& endpoints, const EtcdOptions& options = {}) {
  auto store = EtcdStore::open(endpoints, options);
  CHECK(store.has_value(), store.has_error() ? store.error().context : "");
  return std::move(*store);
}

class EtcdWorld {
 public:
  explicit EtcdWorld(const EtcdOptions& options = {}) {
    auto etcd = cli::EtcdProcess::start();
    CHECK(etcd.has_value(), etcd.has_error() ? etcd.error().context : "");
    etcd_ = std::move(*etcd);
    store_ = open_store(etcd_->endpoint(), options);
    other_ = open_store(etcd_->endpoint(), options);
  }
  Store& store() { return *store_; }
  Store& other() { return *other_; }
  cli::EtcdProcess& etcd() { return *etcd_; }
  // renewed each 0.67 s: a loaded machine may be slow
  static std::chrono::milliseconds short_ttl() { return std::chrono::seconds(2); }
  void drop_lease(std::int64_t id) {
    char hex[20];
    std::snprintf(hex, sizeof hex, "%llx", static_cast<unsigned long long>(id));
    const auto done = etcdctl(*etcd_, {"lease", "revoke", hex});
    CHECK(done.has_value(), done.has_error() ? done.error().context : "");
  }

 private:
  std::unique_ptr<cli::EtcdProcess> etcd_;
  std::unique_ptr<EtcdStore> store_;
  std::unique_ptr<EtcdStore> other_;
};

}  // namespace regroup::testing
