#include "checkpoint/io/writable.hpp"

#include "base/hex.hpp"
#include "base/random_bytes.hpp"
#include "checkpoint/io/posix_file.hpp"

#include <unistd.h>

#include <cerrno>

namespace regroup::checkpoint {

Result<void> prove_writable(const std::string& directory) {
  if (auto made = make_directory(directory); !made) return made;
  const std::string file = directory + "/.regroup-writes-" + to_hex(random_word());
  const Result<void> written = place_durable_file(file, "checkpoints are to be written here\n");
  if (!written) {
    for (const std::string& rest : {file, file + ".tmp"}) ::unlink(rest.c_str());
    return written;
  }
  if (::unlink(file.c_str()) != 0) return file_error("take away", file, errno);
  return {};
}

}  // namespace regroup::checkpoint
