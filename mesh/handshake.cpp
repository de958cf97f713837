#include "mesh/handshake.hpp"

#include "base/check.hpp"
#include "base/random_bytes.hpp"
#include "net/proof.hpp"

namespace regroup::mesh {
namespace {

constexpr std::string_view kMagic = "RGH1";
constexpr std::uint16_t kVersion = 2;
constexpr std::size_t kHeadBytes = 8, kNonceBytes = 16, kMaxBytes = 1024;
constexpr std::uint8_t kHelloKind = 1, kChallengeKind = 2, kProofKind = 3, kVerdictKind = 4;

std::string u16(std::size_t value) { return {static_cast<char>(value & 0xff), static_cast<char>(value >> 8)}; }

std::size_t read_u16(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]) | static_cast<std::size_t>(static_cast<unsigned char>(text[at + 1])) << 8;
}

std::string message(std::uint8_t kind, std::string_view body) {
  std::string out(kMagic);
  out += static_cast<char>(kind);
  out += '\0';
  out += u16(body.size());
  return out.append(body);
}

std::string listener_proof(const std::string& secret, const std::string& hello, std::string_view nonce) {
  return proof_of_secret(secret, "listener" + hello + std::string(nonce));
}

std::string dialler_proof(const std::string& secret, const std::string& hello, const std::string& challenge) {
  return proof_of_secret(secret, "dialler" + hello + challenge);
}

}  // namespace

Handshake Handshake::dial(const WorkerId& self, const WorkerId& peer, Lane lane, std::string secret) {
  Handshake h;
  h.self_ = self, h.peer_ = peer, h.lane_ = lane, h.secret_ = std::move(secret), h.dialler_ = true,
  h.stage_ = Stage::kChallenge;
  const std::string from = to_string(self), to = to_string(peer);
  std::string body = u16(kVersion);
  body += static_cast<char>(lane);
  body += '\0';
  body += random_bytes(kNonceBytes) + u16(from.size()) + from + u16(to.size()) + to;
  CHECK(body.size() + kHeadBytes <= kMaxBytes, "worker ids too long", from, to);
  h.hello_ = h.output_ = message(kHelloKind, body);
  return h;
}

Handshake Handshake::listen(const WorkerId& self, std::string secret) {
  Handshake h;
  h.self_ = self, h.secret_ = std::move(secret);
  return h;
}

Handshake::Next Handshake::feed(std::string_view bytes) {
  input_.append(bytes);
  const std::size_t seen = std::min(input_.size(), kMagic.size());
  if (std::string_view(input_).substr(0, seen) != kMagic.substr(0, seen))
    return refuse("these are no words of the mesh");
  if (input_.size() < kHeadBytes) return Next::kMore;
  const std::size_t length = kHeadBytes + read_u16(input_, 6);
  if (length > kMaxBytes) return refuse("a handshake message above 1 KiB");
  if (input_.size() < length) return Next::kMore;
  const std::string whole = input_.substr(0, length);
  input_.erase(0, length);
  return on_message(static_cast<std::uint8_t>(whole[4]), std::string_view(whole).substr(kHeadBytes), whole);
}

Handshake::Next Handshake::on_message(std::uint8_t kind, std::string_view body, std::string_view whole) {
  if (kind == kVerdictKind && dialler_ && body.size() >= 1) {
    const auto verdict = static_cast<Verdict>(body[0]);
    if (verdict == Verdict::kAccepted && stage_ == Stage::kVerdict) return Next::kAccepted;
    if (verdict == Verdict::kYield) return Next::kYield;
    reason_ = "the other side said: " + std::string(body.substr(1));
    return Next::kRefused;
  }
  if (kind == kHelloKind && stage_ == Stage::kHello) return on_hello(body, whole);
  if (kind == kChallengeKind && stage_ == Stage::kChallenge && body.size() == kNonceBytes + kProofBytes) {
    if (!same_proof(body.substr(kNonceBytes), listener_proof(secret_, hello_, body.substr(0, kNonceBytes)))) {
      return refuse("the listener does not know the job's secret");
    }
    challenge_ = whole;
    return Next::kProve;
  }
  if (kind == kProofKind && stage_ == Stage::kProof) {
    if (!same_proof(body, dialler_proof(secret_, hello_, challenge_)))
      return refuse("the dialler does not know the job's secret");
    return Next::kDecide;
  }
  return refuse("a handshake message out of turn");
}

Handshake::Next Handshake::on_hello(std::string_view body, std::string_view whole) {
  constexpr std::size_t kFixed = 4 + kNonceBytes;
  if (body.size() < 2 || read_u16(body, 0) != kVersion)
    return refuse("another version of the mesh's protocol; run the same program everywhere");
  if (body.size() < kFixed + 2 || static_cast<unsigned char>(body[2]) > 1) return refuse("a malformed hello");
  const std::size_t from_size = read_u16(body, kFixed);
  if (body.size() < kFixed + 4 + from_size) return refuse("a malformed hello");
  const std::size_t to_size = read_u16(body, kFixed + 2 + from_size);
  if (body.size() != kFixed + 4 + from_size + to_size) return refuse("a malformed hello");
  if (!parse_worker_id(std::string(body.substr(kFixed + 2, from_size)), peer_)) return refuse("a malformed worker id");
  if (body.substr(kFixed + 4 + from_size) != to_string(self_))
    return refuse("the worker that was dialled is not here any more");
  if (peer_ == self_) return refuse("a worker that says it is this one");
  lane_ = static_cast<Lane>(body[2]);
  hello_ = whole;
  const std::string nonce = random_bytes(kNonceBytes);
  challenge_ = message(kChallengeKind, nonce + listener_proof(secret_, hello_, nonce));
  output_ += challenge_;
  stage_ = Stage::kProof;
  return Next::kHello;
}

void Handshake::prove() {
  output_ += message(kProofKind, dialler_proof(secret_, hello_, challenge_));
  stage_ = Stage::kVerdict;
}

void Handshake::decide(Verdict verdict, std::string_view reason) {
  std::string body(1, static_cast<char>(verdict));
  output_ += message(kVerdictKind, body.append(reason));
}

Handshake::Next Handshake::refuse(std::string reason) {
  reason_ = std::move(reason);
  if (!dialler_) decide(Verdict::kRefused, reason_);
  return Next::kRefused;
}

}  // namespace regroup::mesh
