#include "coordinator/core/blame.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

namespace regroup::coordinator {
namespace {

using Edge = std::pair<int, int>;

struct Cover {
  const BlameInput& input;
  const std::vector<Edge>& edges;
  const std::vector<int>& accused_by;  // [suspect] how many accuse it
  std::vector<bool> in;
  std::vector<int> best;
  bool found = false;

  using Cost = std::tuple<std::size_t, std::int64_t, std::int64_t, std::vector<int>>;
  [[nodiscard]] Cost cost(std::vector<int> members) const {
    std::sort(members.begin(), members.end());
    std::int64_t voices = 0;
    std::int64_t bytes = 0;
    for (int member : members) {
      voices += accused_by[static_cast<std::size_t>(member)];
      bytes += input.bytes_held[static_cast<std::size_t>(member)];
    }
    return {members.size(), -voices, bytes, members};
  }

  void search(std::vector<int>& chosen) {
    if (found && chosen.size() > best.size()) return;
    const auto open = std::find_if(edges.begin(), edges.end(), [&](const Edge& edge) {
      return !in[static_cast<std::size_t>(edge.first)] && !in[static_cast<std::size_t>(edge.second)];
    });
    if (open == edges.end()) {
      if (!found || cost(chosen) < cost(best)) best = chosen;
      found = true;
      return;
    }
    for (int pick : {open->second, open->first}) {
      in[static_cast<std::size_t>(pick)] = true;
      chosen.push_back(pick);
      search(chosen);
      chosen.pop_back();
      in[static_cast<std::size_t>(pick)] = false;
    }
  }
};

// Most edges first; the same ties as the exact search.
std::vector<int> greedy_cover(const BlameInput& input, std::vector<Edge> edges, const std::vector<int>& accused_by) {
  std::vector<int> cover;
  while (!edges.empty()) {
    std::vector<int> degree(static_cast<std::size_t>(input.num_suspects));
    for (const Edge& edge : edges) {
      ++degree[static_cast<std::size_t>(edge.first)];
      ++degree[static_cast<std::size_t>(edge.second)];
    }
    int pick = 0;
    const auto rank = [&](int s) {
      const auto i = static_cast<std::size_t>(s);
      return std::make_tuple(-degree[i], -accused_by[i], input.bytes_held[i], s);
    };
    for (int s = 1; s < input.num_suspects; ++s) {
      if (rank(s) < rank(pick)) pick = s;
    }
    cover.push_back(pick);
    std::erase_if(edges, [&](const Edge& edge) { return edge.first == pick || edge.second == pick; });
  }
  return cover;
}

std::vector<int> least_cover(const BlameInput& input, std::vector<Edge>& edges, const std::vector<int>& accused_by) {
  std::sort(edges.begin(), edges.end());
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  std::vector<int> cover = greedy_cover(input, edges, accused_by);
  if (cover.empty() || cover.size() > 12) return cover;
  Cover exact{input, edges, accused_by, std::vector<bool>(static_cast<std::size_t>(input.num_suspects)), cover, true};
  std::vector<int> chosen;
  exact.search(chosen);
  return exact.best;
}

struct Quiet {
  std::vector<bool> is;         // [suspect] accused, and reports nothing itself
  std::vector<bool> unanimous;  // [suspect] every worker that is not quiet accuses it
  bool lone_voice = false;      // all accusations of quiet ones are one worker's, and there are several
};

Quiet find_quiet(const BlameInput& input, const std::vector<Accusation>& open) {
  const auto n = static_cast<std::size_t>(input.num_suspects);
  std::vector<bool> talks(n);
  std::vector<std::set<int>> accusers(n);
  for (const Accusation& accusation : open) {
    talks[static_cast<std::size_t>(accusation.reporter)] = true;
    accusers[static_cast<std::size_t>(accusation.accused)].insert(accusation.reporter);
  }
  Quiet quiet{std::vector<bool>(n), std::vector<bool>(n)};
  std::size_t num_quiet = 0, others = 0;
  std::set<int> voices;
  for (std::size_t s = 0; s < n; ++s) {
    if (input.certain[s]) continue;
    quiet.is[s] = !talks[s] && !accusers[s].empty();
    if (quiet.is[s]) {
      ++num_quiet;
      voices.insert(accusers[s].begin(), accusers[s].end());
    } else {
      ++others;
    }
  }
  for (std::size_t s = 0; s < n; ++s) quiet.unanimous[s] = quiet.is[s] && accusers[s].size() == others;
  quiet.lone_voice = voices.size() == 1 && num_quiet > 1;
  return quiet;
}

}  // namespace

Blame find_guilty(const BlameInput& input) {
  Blame blame;
  const auto n = static_cast<std::size_t>(input.num_suspects);
  std::vector<bool> guilty = input.certain;
  std::vector<Accusation> open;  // between workers that are not known to be lost from elsewhere
  for (const Accusation& accusation : input.accusations) {
    if (!input.certain[static_cast<std::size_t>(accusation.reporter)] &&
        !input.certain[static_cast<std::size_t>(accusation.accused)])
      open.push_back(accusation);
  }
  const Quiet quiet = find_quiet(input, open);
  for (const Accusation& accusation : open) {
    const auto accused = static_cast<std::size_t>(accusation.accused);
    if (!quiet.is[accused]) continue;
    const bool believed = quiet.unanimous[accused] || accusation.ended;
    if (believed && (!quiet.lone_voice || (accusation.ended && !accusation.young))) guilty[accused] = true;
  }
  std::vector<Edge> edges;
  std::vector<int> accused_by(n);
  for (const Accusation& accusation : open) {
    const auto accused = static_cast<std::size_t>(accusation.accused);
    if (guilty[accused] || guilty[static_cast<std::size_t>(accusation.reporter)]) continue;
    blame.undecided = blame.undecided || (accusation.young && quiet.is[accused]);
    edges.emplace_back(accusation.reporter, accusation.accused);
    ++accused_by[accused];
  }
  if (!blame.undecided) {
    for (int suspect : least_cover(input, edges, accused_by)) guilty[static_cast<std::size_t>(suspect)] = true;
  }
  for (std::size_t s = 0; s < n; ++s) {
    if (guilty[s]) blame.guilty.push_back(static_cast<int>(s));
  }
  return blame;
}

}  // namespace regroup::coordinator
