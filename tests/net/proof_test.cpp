#include "net/proof.hpp"

#include "base/hex.hpp"
#include "base/random_bytes.hpp"

#include <gtest/gtest.h>

namespace regroup {
namespace {

TEST(Proof, is_the_hmac_sha256_of_rfc_4231) {
  EXPECT_EQ(to_hex(proof_of_secret("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Proof, another_secret_or_another_text_gives_another_proof) {
  const std::string proof = proof_of_secret("secret", "text");
  EXPECT_EQ(proof.size(), kProofBytes);
  EXPECT_TRUE(same_proof(proof, proof_of_secret("secret", "text")));
  EXPECT_FALSE(same_proof(proof, proof_of_secret("Secret", "text")));
  EXPECT_FALSE(same_proof(proof, proof_of_secret("secret", "Text")));
  EXPECT_FALSE(same_proof(proof, proof.substr(1)));
  EXPECT_FALSE(same_proof(proof, ""));
}

TEST(RandomBytes, are_as_many_as_asked_for_and_never_the_same) {
  EXPECT_EQ(random_bytes(0), "");
  EXPECT_EQ(random_bytes(1000).size(), 1000u);
  EXPECT_NE(random_bytes(16), random_bytes(16));
  EXPECT_NE(random_word(), random_word());
}

}  // namespace
}  // namespace regroup
