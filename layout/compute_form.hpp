// compute_form.hpp: how a unit's weights lie where they are computed with. Pure.
//
// fp32: as the flat buffer of units.hpp. bf16: matrices in bf16, norms and routers in fp32, tensor after tensor in the
// unit's order, each starting on 64 bytes. Any run of elements is one run of bytes: what an owner keeps of a unit
// travels as one piece in either form.
#pragma once

#include "base/words.hpp"
#include "layout/units.hpp"

#include <cstdint>
#include <vector>

namespace regroup {

enum class Precision { kFp32, kBf16 };
inline constexpr Words<Precision, 2> kPrecisionWords{{"fp32", "bf16"}};
// of a matrix or an activation
constexpr std::int64_t element_bytes(Precision precision) { return precision == Precision::kBf16 ? 2 : 4; }

class ComputeForm {
 public:
  struct Spot {             // of a tensor
    std::int64_t byte = 0;  // from the unit's start
    bool bf16 = false;
  };
  ComputeForm(const Unit& unit, Precision precision);
  [[nodiscard]] Precision precision() const { return precision_; }
  [[nodiscard]] const std::vector<Spot>& spots() const { return spots_; }  // [tensor]
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }
  // Where the unit's element `element` (0 to padded_numel, padding included) starts; ascending.
  [[nodiscard]] std::int64_t byte_of(std::int64_t element) const;

 private:
  struct Piece {  // of the flat buffer: a tensor, without the padding after it
    std::int64_t element = 0;
    std::int64_t numel = 0;
  };
  Precision precision_;
  std::vector<Piece> pieces_;
  std::vector<Spot> spots_;
  std::int64_t bytes_ = 0;
};

std::vector<ComputeForm> compute_forms(const std::vector<Unit>& units, Precision precision);

}  // namespace regroup
