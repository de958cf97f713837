// mixed_dataset.cpp: several sets as one: mixture.hpp says whose sample comes next.
#include "moe/data/checksum.hpp"
#include "moe/data/dataset.hpp"
#include "moe/data/mixture.hpp"

namespace regroup {
namespace {

class MixedDataset final : public Dataset {
 public:
  MixedDataset(std::vector<std::unique_ptr<Dataset>> sets, Mixture mixture)
      : sets_(std::move(sets)), mixture_(std::move(mixture)) {}

  [[nodiscard]] std::int64_t num_tokens() const override { return sum(&Dataset::num_tokens); }
  [[nodiscard]] std::int64_t num_documents() const override { return sum(&Dataset::num_documents); }
  [[nodiscard]] std::int64_t num_sequences() const override { return sum(&Dataset::num_sequences); }
  Result<void> fill(std::int64_t sample_index, std::span<std::int64_t> tokens) const override {
    const auto [source, sample] = mixture_.place(sample_index);
    return sets_[static_cast<std::size_t>(source)]->fill(sample, tokens);
  }
  void document_starts(std::int64_t sample_index, std::vector<std::int32_t>& starts) const override {
    const auto [source, sample] = mixture_.place(sample_index);
    sets_[static_cast<std::size_t>(source)]->document_starts(sample, starts);
  }
  [[nodiscard]] SamplePlace where(std::int64_t sample_index) const override {
    const auto [source, sample] = mixture_.place(sample_index);
    return sets_[static_cast<std::size_t>(source)]->where(sample);
  }
  [[nodiscard]] std::string digest() const override {
    Xxh3 all;
    for (std::size_t i = 0; i < sets_.size(); ++i) {
      const std::string line = sets_[i]->digest() + " " + std::to_string(mixture_.shares()[i]) + "\n";
      all.add(line.data(), line.size());
    }
    return all.hex();
  }
  [[nodiscard]] std::string tokenizer() const override {
    for (const auto& set : sets_)
      if (!set->tokenizer().empty()) return set->tokenizer();
    return {};
  }
  [[nodiscard]] Result<void> verify() const override {
    for (const auto& set : sets_)
      if (auto good = set->verify(); !good) return good;
    return {};
  }

 private:
  [[nodiscard]] std::int64_t sum(std::int64_t (Dataset::*of)() const) const {
    std::int64_t all = 0;
    for (const auto& set : sets_) all += (*set.*of)();
    return all;
  }
  std::vector<std::unique_ptr<Dataset>> sets_;
  Mixture mixture_;
};

// Each is compared with the first that says how it was made.
Result<void> check_one_tokenizer(const std::vector<DataSource>& sources,
                                 const std::vector<std::unique_ptr<Dataset>>& sets) {
  std::size_t first = 0;
  while (first < sets.size() && sets[first]->tokenizer().empty()) ++first;
  for (std::size_t i = first + 1; i < sets.size(); ++i)
    if (auto same = check_same_tokenizer(sources[i].prefix, *sets[i], sources[first].prefix, *sets[first]); !same)
      return same.error().within("data");
  return {};
}

}  // namespace

Result<void> check_same_tokenizer(const std::string& name, const Dataset& set, const std::string& other_name,
                                  const Dataset& other) {
  if (set.tokenizer().empty() || other.tokenizer().empty() || set.tokenizer() == other.tokenizer()) return {};
  return Error{Code::kBadInput, name + " was made with another tokenizer (" + set.tokenizer() + ") than " + other_name +
                                    " (" + other.tokenizer() + "): prepare it with the same one"};
}

Result<std::unique_ptr<Dataset>> Dataset::open(const std::vector<DataSource>& sources, std::int64_t vocab_size,
                                               std::int64_t sequence_length, std::uint64_t seed) {
  if (sources.empty()) return Error{Code::kBadInput, "no data is given"};
  std::vector<std::unique_ptr<Dataset>> sets;
  std::vector<double> weights;
  for (const DataSource& source : sources) {
    // Sets of one size must not be shuffled alike; the first one is, so that a mixture of one is that one.
    auto set = open(source.prefix, vocab_size, sequence_length, seed + sets.size() * 0x9e3779b97f4a7c15ULL);
    if (!set) return set.error();
    sets.push_back(std::move(*set));
    weights.push_back(source.weight);
  }
  if (sets.size() == 1) return std::move(sets.front());
  if (auto same = check_one_tokenizer(sources, sets); !same) return same.error();
  auto mixture = Mixture::make(weights);
  if (!mixture) return mixture.error().within("data");
  return std::unique_ptr<Dataset>(std::make_unique<MixedDataset>(std::move(sets), std::move(*mixture)));
}

}  // namespace regroup
