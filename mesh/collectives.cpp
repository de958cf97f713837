// collectives.cpp: the collectives that mesh.hpp declares, each as direct exchanges between all pairs.
#include "base/check.hpp"
#include "mesh/mesh.hpp"

#include <optional>

namespace regroup::mesh {
namespace {

// Every rank begins with the one after itself, so that not all go to the lowest first. f(index) for all but self;
// [self's index] comes back.
template <class F>
std::size_t for_others(Mesh& mesh, const std::vector<Rank>& ranks, F f) {
  std::size_t own = ranks.size();
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (ranks[i] == mesh.self()) own = i;
  }
  CHECK(own < ranks.size(), "self", mesh.self(), "is not among the ranks of a collective");
  for (std::size_t k = 1; k < ranks.size(); ++k) f((own + k) % ranks.size());
  return own;
}

}  // namespace

Result<void> barrier(Mesh& mesh, const std::vector<Rank>& ranks, Tag tag) {
  std::vector<TransferPtr> transfers;
  for_others(mesh, ranks, [&](std::size_t i) { transfers.push_back(mesh.receive(ranks[i], tag, {})); });
  for_others(mesh, ranks, [&](std::size_t i) { transfers.push_back(mesh.send(ranks[i], tag, {}, Lane::kControl)); });
  for (const TransferPtr& transfer : transfers) {
    if (auto done = mesh.wait(transfer); !done) return done.error();
  }
  return {};
}

Result<std::vector<std::vector<std::byte>>> all_gather_v(Mesh& mesh, const std::vector<Rank>& ranks, Tag tag,
                                                         std::span<const std::byte> mine, Lane lane) {
  std::vector<TransferPtr> sends, receives(ranks.size());
  const std::size_t own =
      for_others(mesh, ranks, [&](std::size_t i) { receives[i] = mesh.receive_message(ranks[i], tag); });
  for_others(mesh, ranks, [&](std::size_t i) { sends.push_back(mesh.send(ranks[i], tag, mine, lane)); });
  std::vector<std::vector<std::byte>> out(ranks.size());
  out[own].assign(mine.begin(), mine.end());
  std::optional<Error> problem;
  for (std::size_t i = 0; i < ranks.size() && !problem; ++i) {
    if (i == own) continue;
    auto message = mesh.wait_message(receives[i]);
    if (message)
      out[i] = std::move(*message);
    else
      problem = message.error();
  }
  for (const TransferPtr& send : sends) {  // also when it failed: afterwards nobody refers to `mine`
    if (auto done = mesh.wait(send); !done && !problem) problem = done.error();
  }
  if (problem) return *problem;
  return out;
}

}  // namespace regroup::mesh
