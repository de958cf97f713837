#include "checkpoint/io/save_files.hpp"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <system_error>

namespace regroup::checkpoint {

void give_up_after(const Error& error, const std::string& directory, int part) {
  if (error.code == Code::kNewerEpoch || error.code == Code::kConflict) return;
  if (::access((directory + "/" + kManifestName).c_str(), F_OK) == 0) return;
  const std::string rubbish = directory + given_up_suffix(part);
  if (std::rename(directory.c_str(), rubbish.c_str()) != 0) return;
  std::error_code ignored;
  std::filesystem::remove_all(rubbish, ignored);
}

}  // namespace regroup::checkpoint
