#include "checkpoint/io/stream_copy.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace regroup::checkpoint {
namespace {

TEST(StreamCopy, copies_every_byte_and_no_other_however_source_and_target_lie) {
  std::vector<std::byte> from(1024);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i * 37 + i / 256 + 1);
  for (std::size_t bytes = 0; bytes < 300; ++bytes)
    for (const std::size_t source : {0, 4, 63})
      for (const std::size_t target : {0, 1, 16, 60}) {
        std::vector<std::byte> to(512, std::byte{0}), expected = to;
        std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(source), bytes,
                    expected.begin() + static_cast<std::ptrdiff_t>(target));
        stream_copy(to.data() + target, from.data() + source, bytes);
        ASSERT_EQ(to, expected) << bytes << " bytes from " << source << " to " << target;
      }
}

}  // namespace
}  // namespace regroup::checkpoint
