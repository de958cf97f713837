#include "agent/core/load_mean.hpp"

#include <cstdlib>
#include <utility>

namespace regroup::agent {
namespace {

constexpr int kSteps = 8;
constexpr double kNews = 0.05;  // of the tokens

bool differ(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
  if (a.size() != b.size()) return true;
  std::int64_t elsewhere = 0, all = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    all += a[i];
    elsewhere += std::abs(a[i] - b[i]);
  }
  return static_cast<double>(elsewhere) / 2 > kNews * static_cast<double>(all);
}

}  // namespace

void LoadMean::add(const CommitReport& report) {
  if (report.epoch != epoch_ || report.expert_load.size() != sum_.size()) {
    epoch_ = report.epoch;
    sum_.assign(report.expert_load.size(), 0);
    counted_ = 0;
  }
  for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] += report.expert_load[i];
  if (++counted_ < kSteps) return;
  for (std::int64_t& tokens : sum_) tokens = (tokens + kSteps / 2) / kSteps;
  newest_ = {report.epoch, report.step, std::move(sum_), std::move(newest_.expert_load)};
  sum_.assign(report.expert_load.size(), 0);
  counted_ = 0;
}

std::optional<LoadRecord> LoadMean::news(Instant now, Span every) {
  if (newest_.expert_load.empty() || newest_.epoch != epoch_ || (told_ && now - told_at_ < every)) return std::nullopt;
  const bool is_news = !told_ || told_->epoch != newest_.epoch || differ(newest_.expert_load, told_->expert_load) ||
                       differ(newest_.load_before, told_->load_before);
  if (!is_news) return std::nullopt;
  told_ = newest_;
  told_at_ = now;
  return told_;
}

}  // namespace regroup::agent
