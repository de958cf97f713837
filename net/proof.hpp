// proof.hpp: how two processes prove to each other that they know the job's secret without saying it.
//
// Each side sends the other random bytes that were never used before (a nonce). Each then sends the HMAC-SHA256, keyed
// with the secret, of a text that holds both nonces, so that no recorded proof helps anybody, and that names the side
// which speaks, so that nobody can send a proof back to its author. What the text is and how it travels is frozen by
// the two that use this: mesh/handshake (worker to worker) and api/snapshots/peer_wire (an agent's peer port).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace regroup {

inline constexpr std::size_t kProofBytes = 32;

std::string proof_of_secret(std::string_view secret, std::string_view text);  // kProofBytes bytes
// Takes equally long wherever the two differ, so that a stranger learns nothing from how long the answer took.
bool same_proof(std::string_view a, std::string_view b);

}  // namespace regroup
