// part_files.hpp: the files that the writer of one part writes into: made by whoever comes first, shared by all. One
// thread.
//
// Errors: kConflict (the directory is of another model), kUnavailable (I/O error).
#pragma once

#include "checkpoint/core/file_plan.hpp"
#include "checkpoint/io/posix_file.hpp"

#include <string>
#include <vector>

namespace regroup::checkpoint {

struct OutputFile {
  std::string path;
  FileHandle buffered;
  FileHandle direct;  // none where the file system has no O_DIRECT
};

class PartFiles {
 public:
  // `plan` must outlive it.
  PartFiles(const FilePlan& plan, std::string directory);

  // One file of the plan, open and as large as it will be.
  Result<OutputFile*> output(int index);
  Result<void> write_headers();  // of every file
  // What makes the directory a Hugging Face model. Durable with the rest: a sync of each at the end of the save would
  // be time in which the disk does nothing else. `origin`: as in hugging_face.hpp.
  Result<void> write_model_files(const std::string& origin);
  Result<void> sync();  // all that was written, and the directory, are durable

 private:
  const FilePlan& plan_;
  const std::string directory_;
  std::vector<OutputFile> files_;  // of the plan
  std::vector<OutputFile> model_files_;
};

}  // namespace regroup::checkpoint
