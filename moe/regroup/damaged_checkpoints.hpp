// damaged_checkpoints.hpp: what the search for a checkpoint to go on from passed over: what is said of it, and that it
// does not stand in the way when its step is written again. One thread, the main one.
#pragma once

#include "base/ids.hpp"

#include <string>
#include <vector>

namespace regroup {

class DamagedCheckpoints {
 public:
  // `problem`: the error of a member that could not read it, as to_string gives it.
  void add(const std::string& path, Step step, const std::string& problem);
  void add(const std::string& sentence, Step newest = Step(-1));  // of one or several
  // One member does it, once all have done with the directory: the damaged ones are renamed, and the log says so.
  void set_aside(const std::string& root) const;
  [[nodiscard]] const std::string& text() const { return text_; }  // "" or "; CHECKPOINT cannot be read: WHY; ..."
  [[nodiscard]] Step newest() const { return newest_; }            // step of one that was passed over; -1: none

 private:
  std::vector<std::string> damaged_;
  std::string text_;
  Step newest_{-1};
};

}  // namespace regroup
