// page.hpp: a page of metrics in Prometheus' text format. Its .cpp is the only file that knows prometheus-cpp. One
// thread: a page is made for one scrape.
//
// Families stand in the order in which they are first named; the help of the first mention counts.
#pragma once

#include "metrics/counters.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace regroup::metrics {

class Page {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;  // name, value

  Page();
  ~Page();
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;

  void gauge(const std::string& name, const std::string& help, double value, const Labels& labels = {});
  void counter(const std::string& name, const std::string& help, double value, const Labels& labels = {});
  void histogram(const std::string& name, const std::string& help, const Histogram& from, const Labels& labels = {});
  [[nodiscard]] std::string text() const;

 private:
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace regroup::metrics
