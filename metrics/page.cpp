#include "metrics/page.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>

namespace regroup::metrics {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

struct Page::Families {
  std::vector<MetricFamily> all;

  ClientMetric& add(const std::string& name, const std::string& help, MetricType type, const Labels& labels) {
    auto family = std::find_if(all.begin(), all.end(), [&](const MetricFamily& known) { return known.name == name; });
    if (family == all.end()) family = all.insert(all.end(), MetricFamily{name, help, type, {}});
    ClientMetric& metric = family->metric.emplace_back();
    for (const auto& [label, value] : labels) metric.label.push_back({label, value});
    return metric;
  }
};

Page::Page() : families_(std::make_unique<Families>()) {}
Page::~Page() = default;

void Page::gauge(const std::string& name, const std::string& help, double value, const Labels& labels) {
  families_->add(name, help, MetricType::Gauge, labels).gauge.value = value;
}

void Page::counter(const std::string& name, const std::string& help, double value, const Labels& labels) {
  families_->add(name, help, MetricType::Counter, labels).counter.value = value;
}

void Page::histogram(const std::string& name, const std::string& help, const Histogram& from, const Labels& labels) {
  ClientMetric::Histogram& histogram = families_->add(name, help, MetricType::Histogram, labels).histogram;
  histogram.sample_count = from.count;
  histogram.sample_sum = from.sum;
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < kBuckets.size(); ++i) {
    below += from.counts[i];
    histogram.bucket.push_back({below, kBuckets[i]});
  }
  histogram.bucket.push_back({from.count, std::numeric_limits<double>::infinity()});
}

std::string Page::text() const { return prometheus::TextSerializer().Serialize(families_->all); }

}  // namespace regroup::metrics
