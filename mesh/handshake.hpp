// handshake.hpp: how two strangers on a socket become peers. Pure: bytes in, bytes out; the owner moves them and keeps
// the deadline.
//
//   dialler  -> HELLO(version, lane, nonce, own id, wanted id)
//   listener -> CHALLENGE(nonce, proof over "listener", the hello, this nonce)
//   dialler  -> PROOF(proof over "dialler", the hello, the challenge)
//   listener -> VERDICT(accepted | yield | refused + reason)
//
// Every message: magic "RGH1", u8 kind, u8 zero, u16 length, body; never above 1 KiB. A proof is that of net/proof.hpp
// with the job's secret. Frozen.
#pragma once

#include "base/ids.hpp"
#include "mesh/mesh.hpp"

#include <string>
#include <string_view>

namespace regroup::mesh {

class Handshake {
 public:
  enum class Next {
    kMore,      // wait for bytes
    kHello,     // listener: peer() and lane() are claimed (not proved); the challenge lies in output()
    kProve,     // dialler: the listener proved itself; prove() or close
    kDecide,    // listener: the dialler proved itself; call decide()
    kAccepted,  // dialler: it is a connection now; leftover() are its first bytes
    kYield,     // dialler: the other side's own connection is coming, or has come
    kRefused,   // either: close after sending output(); reason() says why
  };
  enum class Verdict : std::uint8_t { kAccepted = 0, kYield = 1, kRefused = 2 };

  static Handshake dial(const WorkerId& self, const WorkerId& peer, Lane lane, std::string secret);
  static Handshake listen(const WorkerId& self, std::string secret);

  // Takes received bytes; call again with nothing after kHello until kMore.
  Next feed(std::string_view bytes);
  void prove();
  void decide(Verdict verdict, std::string_view reason = {});

  [[nodiscard]] std::string& output() { return output_; }
  [[nodiscard]] std::string leftover() const { return input_; }
  [[nodiscard]] const WorkerId& peer() const { return peer_; }
  [[nodiscard]] Lane lane() const { return lane_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  enum class Stage { kHello, kChallenge, kProof, kVerdict };
  Next on_message(std::uint8_t kind, std::string_view body, std::string_view whole);
  Next on_hello(std::string_view body, std::string_view whole);
  Next refuse(std::string reason);

  WorkerId self_, peer_;
  Lane lane_ = Lane::kControl;
  std::string secret_, hello_, challenge_, input_, output_, reason_;
  bool dialler_ = false;
  Stage stage_ = Stage::kHello;
};

}  // namespace regroup::mesh
