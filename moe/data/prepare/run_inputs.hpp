// run_inputs.hpp: what a run reads, and what it says of it.
#pragma once

#include "moe/data/prepare/documents.hpp"
#include "moe/data/prepare/inputs.hpp"
#include "moe/data/prepare/prepare.hpp"

#include <string>
#include <vector>

namespace regroup {

// The inputs of the options without what the run writes or uses otherwise, and without prepared data; says what it left
// out. As list_inputs.
Result<std::vector<Input>> inputs_of(const PrepareOptions& options);

// kBadInput: a file stands where the run would write, and no run like it wrote it. A text named PREFIX.json must not be
// lost to our record of that name.
Result<void> refuse_files_of_others(const std::string& prefix);

std::string name_of_input(const Input& input);

// The first few notes of a run; `num_said` counts them.
void say(const PrepareOptions& options, const std::vector<Input>& inputs, const Note& note, int& num_said);

}  // namespace regroup
