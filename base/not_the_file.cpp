#include "base/not_the_file.hpp"

#include "base/magic.hpp"

#include <utility>

namespace regroup {

std::string not_the_file(std::string_view start) {
  static constexpr std::pair<std::string_view, const char*> kStarts[] = {
      {magic::kGitLfsPointer, "a Git LFS pointer in place of the file: run `git lfs pull` there, or download the file"},
      {"/annex/objects/", "a git-annex pointer in place of the file: run `git annex get` there"},
      {magic::kZip, "a zip archive, as PyTorch's pickles are: save the model as safetensors"},
      {magic::kGguf, "a GGUF file, which is not read: take the model's safetensors"},
      {magic::kGzip, "compressed with gzip: unpack it"}};
  for (const auto& [bytes, what] : kStarts)
    if (start.starts_with(bytes)) return what;
  for (const std::string_view pickle : magic::kPickles)
    if (start.starts_with(pickle)) return "a Python pickle: save the model as safetensors";
  const auto first = start.find_first_not_of("\xEF\xBB\xBF \t\r\n");
  if (first != std::string_view::npos && start[first] == '<')
    return "a web page in place of the file (a download that brought an error?): download it again";
  if (start.size() > 8 && start[8] == '{' && start.substr(4, 4) == std::string_view("\0\0\0\0", 4))
    return "a safetensors file, which holds weights: name its directory";
  return {};
}

}  // namespace regroup
