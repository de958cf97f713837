// environment.hpp: what a child of ours takes over of this process's environment. An allow list: a variable that nobody
// here knows may steer a library, and so change a run unseen. docs/operations.md lists for users what is read.
#pragma once

#include "base/result.hpp"

#include <string>
#include <vector>

namespace regroup {

// NAME=VALUE of those that say who the user is, where things lie and how text is written (PATH, HOME, TMPDIR, LANG,
// LC_*, TZ and a few more), and those of the sanitizers, which nothing reads in a build without them.
std::vector<std::string> plain_environment();

// Names among the rest that are known to steer what a process computes, allocates or loads (OMP_*, MKL_*, LD_*, ...),
// sorted: worth a word to whoever set them.
std::vector<std::string> steering_variables_left_out();

// Settings of one's own for a child, in order of their names. kBadInput, naming the setting: not NAME=VALUE, a name
// that is no shell's, a control character, one name twice, or an
// instruction set (ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA) that its library does not know.
Result<std::vector<std::string>> checked_settings(std::vector<std::string> settings);

// Puts NAME=VALUE in place of what is there under this name.
void set_variable(std::vector<std::string>& environment, const std::string& setting);

}  // namespace regroup
