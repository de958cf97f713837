#include "api/snapshots/peer_wire.hpp"

#include "base/hex.hpp"
#include "base/json_fields.hpp"
#include "base/random_bytes.hpp"
#include "net/proof.hpp"

#include <cstring>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

namespace regroup {
namespace {

using json::Field;
using json::Json;
constexpr std::size_t kNonceBytes = 32;
constexpr char kMagic[4] = {'R', 'G', 'P', '1'};

std::string proof(const std::string& secret, const char* side, const std::string& server_nonce,
                  const std::string& client_nonce, const std::string& job) {
  return to_hex(proof_of_secret(
      secret, std::string("regroup peer 1 ") + side + '\n' + server_nonce + '\n' + client_nonce + '\n' + job));
}

struct ClientHello {
  std::string job, nonce, proof;
};

ClientHello read_hello(const Field& in) { return {in["job"].string(), in["nonce"].string(), in["proof"].string()}; }

const Error kRefused{Code::kBadInput, "the peer refused us: the job is unknown there or the secret is wrong"};

}  // namespace

Result<void> prove_to_server(PeerSocket& socket, const std::string& job, const std::string& secret) {
  char greeting[4 + kNonceBytes];
  auto done = socket.read(greeting, sizeof greeting);
  if (!done) return done;
  if (std::memcmp(greeting, kMagic, 4) != 0)
    return Error{Code::kBadInput, "who answers is not a Regroup agent of this version"};
  const std::string theirs = to_hex(std::string_view(greeting + 4, kNonceBytes));
  const std::string mine = to_hex(random_bytes(kNonceBytes));
  done = socket.write_frame(
      Json{{"job", job}, {"nonce", mine}, {"proof", proof(secret, "client", theirs, mine, job)}}.dump());
  if (!done) return done;
  auto reply = socket.read_frame(kPeerMaxHello);
  if (!reply) return reply.error();
  const auto proved = json::read_json(*reply, "the peer's answer to our proof", [](const Field& in) {
    return in.has("error") ? std::nullopt : std::optional(in["proof"].string());
  });
  if (!proved) return proved.error();
  if (!*proved) return kRefused;
  if (!same_proof(**proved, proof(secret, "server", theirs, mine, job)))
    return Error{Code::kBadInput, "the peer does not know the job's secret"};
  return {};
}

Result<std::string> admit_client(PeerSocket& socket,
                                 const std::function<std::string(const std::string& job)>& secret_of) {
  std::string nonce = random_bytes(kNonceBytes);
  const std::string mine = to_hex(nonce);
  auto done = socket.write({{const_cast<char*>(kMagic), 4}, {nonce.data(), nonce.size()}});
  if (!done) return done.error();
  auto hello = socket.read_frame(kPeerMaxHello);
  if (!hello) return hello.error();
  const auto refuse = [&socket](const Error& why) {
    (void)socket.write_frame(error_json(kRefused));
    return why;
  };
  const auto said = json::read_json(*hello, "the peer's proof", read_hello);
  if (!said) return refuse(said.error());
  const std::string secret = secret_of(said->job);
  // A job without a secret, or one unknown here, admits nobody; the comparison is made all the same.
  const bool right = same_proof(said->proof, proof(secret, "client", mine, said->nonce, said->job));
  if (!right || secret.empty() || said->nonce.size() != 2 * kNonceBytes) return refuse(kRefused);
  done =
      socket.write_frame(Json{{"ok", true}, {"proof", proof(secret, "server", mine, said->nonce, said->job)}}.dump());
  if (!done) return done.error();
  return said->job;
}

Result<std::string> read_reply(PeerSocket& socket) {
  for (;;) {
    auto frame = socket.read_frame(kPeerMaxFrame);
    if (!frame || *frame != kPeerWait) return frame;
  }
}

std::string error_json(const Error& error) {
  return json::dump(Json{{"error", error.context}, {"code", static_cast<int>(error.code)}});
}

Result<void> error_from_json(const std::string& reply, const std::string& who) {
  struct Answer {
    std::optional<std::string> refusal;
    int code = -1;
  };
  const auto answer = json::read_json(
      reply, who + " answered",
      [](const Field& in) {
        Answer said;
        if (const auto error = in.find("error")) said.refusal = error->string();
        if (const auto code = in.find("code")) said.code = code->integer<int>();
        return said;
      },
      Code::kCorrupt);
  if (!answer) return answer.error();
  if (!answer->refusal) return {};
  const bool known = answer->code >= 0 && answer->code <= static_cast<int>(Code::kInternal);
  return Error{known ? static_cast<Code>(answer->code) : Code::kUnavailable, who + ": " + *answer->refusal};
}

std::vector<std::uint64_t> block_checksums(const float* arrays, int blocks, std::int64_t block_elements) {
  std::vector<std::uint64_t> out(static_cast<std::size_t>(blocks) * 3);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = ::XXH3_64bits(arrays + static_cast<std::int64_t>(i) * block_elements,
                           static_cast<std::size_t>(block_elements) * sizeof(float));
  return out;
}

}  // namespace regroup
