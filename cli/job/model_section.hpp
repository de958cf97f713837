// model_section.hpp: the section `model` of a job file: the fields of a Hugging Face config.json, or where one lies.
#pragma once

#include "api/job_spec.hpp"
#include "cli/job/yaml_section.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace regroup::cli {

struct ModelSection {
  ModelShape shape;
  std::string initial_weights;     // directory, absolute; empty: training starts from random ones
  std::vector<std::string> notes;  // what a reader of the file may not expect, one sentence each
};

// Throws Refused, as YamlSection does.
ModelSection read_model(YamlSection& root, const std::filesystem::path& job_file);

}  // namespace regroup::cli
