#include "store/etcd/etcd_rpc.hpp"

namespace regroup {
namespace {

constexpr std::int64_t kPage = 1000;  // keys a call: answers stay in the low megabytes whatever the cluster's size

}  // namespace

std::string range_begin_of(const std::string& prefix) { return prefix.empty() ? std::string(1, '\0') : prefix; }

std::string range_end_of(const std::string& prefix) {
  std::string end = prefix;
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (end.empty()) return std::string(1, '\0');  // to etcd: no end
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

Result<Listing> list_all(EtcdRpc& rpc, const std::string& prefix, Deadline deadline, std::uint64_t* cluster) {
  Listing listing;
  std::string from = range_begin_of(prefix);
  const std::string end = range_end_of(prefix);
  for (;;) {
    const Result<RangePage> page = read_somewhere(rpc, deadline, [&](int endpoint, Deadline until) {
      return rpc.range(endpoint, from, end, kPage, listing.revision, until);
    });
    if (!page && page.error().code == Code::kConflict) {  // compacted between two pages: begin again at the present
      listing = {};
      from = range_begin_of(prefix);
      continue;
    }
    if (!page) return page.error();
    if (listing.revision == 0) listing.revision = page->revision;
    if (cluster != nullptr) *cluster = page->cluster;
    listing.keys.insert(listing.keys.end(), page->keys.begin(), page->keys.end());
    if (!page->more || page->keys.empty()) return listing;
    from = page->keys.back().key + '\0';
  }
}

}  // namespace regroup
