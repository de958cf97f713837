// peer_wire.hpp: what is said on an agent's peer port: who may ask, and how requests and bulk go over it. Version 1,
// frozen.
//
// Conversation, all integers little-endian:
//   server -> "RGP1" and a nonce of 32 bytes
//   client -> frame {"job", "nonce" (hex), "proof" (hex HMAC-SHA256 of the job's secret over "client", server's nonce,
//   client's nonce, job)} server -> frame {"ok": true, "proof": (the same over "server")} or {"error", "code"}; after
//   an error it closes then any number of: client -> frame {"do": "list"}
//                       server -> frame {"snapshots": [{"taken_by", "step", "epoch", "bad": [total, in a row],
//                       "entries": [[unit, lo, hi], ...]}, ...]}; spaces before or after the JSON are signs of life
//                   or: client -> frame {"do": "fetch", "step", "unit", "lo", "hi"}
//                       server -> frame {"ok": true, "bytes": of the 3 arrays} + bulk
//                   or: client -> frame {"do": "put", "taken_by", "step", "epoch", "place", "safe", "bad", "entries":
//                   [[unit, lo, hi], ...]}
//                       server -> frame {"ok": true}: there is room
//                       client -> bulk of each entry in turn
//                       server -> frame {"ok": true}: all of it is here and matches its checksums. It ends what
//                       `taken_by` put in the same place before, and all older than step `safe`.
//   Before the first frame of an answer a server may say {"wait":true}, in these very bytes, any number of times: it
//   answers others first.
//   Instead of any of its frames a server may say {"error", "code"}; the connection stays good, and no bulk follows
//   from either side.
// A frame is a u32 length and that many bytes of JSON. Before the proof a frame has at most 4 KiB, after it 16 MiB; a
// longer one ends the connection. Bulk of a piece of a snapshot: for each of 3 arrays, for each block one u64 XXH3 of
// the block's bytes; then the 3 arrays. The checksums are those taken when the snapshot was made, so they hold from the
// first owner's memory to the last reader's.
#pragma once

#include "net/peer_socket.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace regroup {

inline constexpr std::size_t kPeerMaxHello = 4 << 10;
inline constexpr std::size_t kPeerMaxFrame = 16 << 20;

// Both sides of the proof; kBadInput: wrong secret or unknown job (the two look alike to a stranger).
Result<void> prove_to_server(PeerSocket& socket, const std::string& job, const std::string& secret);
// `secret_of` returns "" for a job that this agent does not know. Gives the job.
Result<std::string> admit_client(PeerSocket& socket,
                                 const std::function<std::string(const std::string& job)>& secret_of);

inline constexpr char kPeerWait[] = R"({"wait":true})";
// The first frame of an answer, once it comes.
Result<std::string> read_reply(PeerSocket& socket);

std::string error_json(const Error& error);
Result<void> error_from_json(const std::string& reply, const std::string& who);  // success when the reply is none

// [array * blocks + block], over block_elements floats each.
std::vector<std::uint64_t> block_checksums(const float* arrays, int blocks, std::int64_t block_elements);

}  // namespace regroup
