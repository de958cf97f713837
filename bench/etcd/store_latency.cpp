// store_latency: what the etcd client costs: a put, and the way from a put to a watch's callback in another client, on
// an etcd of its own.
#include "base/now.hpp"
#include "bench/command_line.hpp"
#include "cli/etcd/etcd_process.hpp"
#include "store/etcd/etcd_store.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <thread>

namespace {

using regroup::Clock;

double at(std::vector<double>& values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "What the etcd client costs: a put, and the way from a put to a watch in another client, on its own etcd."};
  if (const auto ended = regroup::bench::status_of(app, argc, argv)) return *ended;
  const auto etcd = regroup::cli::EtcdProcess::start();
  if (!etcd) {
    std::fprintf(stderr, "%s\n", to_string(etcd.error()).c_str());
    return 1;
  }
  const auto writer = regroup::EtcdStore::open((*etcd)->endpoint());
  const auto reader = regroup::EtcdStore::open((*etcd)->endpoint());
  std::atomic<std::int64_t> told{-1};
  std::atomic<Clock::time_point> told_at{};
  const auto watch = (*reader)->watch("/bench/", [&](const regroup::WatchUpdate& update) {
    told_at = Clock::now();
    for (const auto& event : update.events) told = std::stoll(event.kv.value);
    told.notify_all();
  });
  (void)(*writer)->put("/bench/a", "0");
  std::vector<double> put, get, seen;
  for (int i = 1; i <= 500; ++i) {
    const auto start = Clock::now();
    if (!(*writer)->put("/bench/a", std::to_string(i))) return 1;
    const auto done = Clock::now();
    for (std::int64_t now = told; now < i; now = told) told.wait(now);
    put.push_back(regroup::ms_between(start, done));
    seen.push_back(regroup::ms_between(start, told_at.load()));
    const auto read = Clock::now();
    if (!(*writer)->get("/bench/a")) return 1;
    get.push_back(regroup::ms_since(read));
  }
  std::printf("ms          p50     p95     max\n");
  for (auto [name, values] : {std::pair{"put", &put}, std::pair{"put->watch", &seen}, std::pair{"get", &get}})
    std::printf("%-10s %6.2f  %6.2f  %6.2f\n", name, at(*values, 0.5), at(*values, 0.95), at(*values, 1.0));
  return 0;
}
