// commands.hpp: the program's subcommands, one function each. `*run` is set to what does the chosen one; it returns the
// exit status: 0 good, 1 failed, 2 wrong use.
#pragma once

#include "api/job_spec.hpp"

#include <CLI/CLI.hpp>

#include <functional>
#include <string>

namespace regroup::cli {

void add_data_commands(CLI::App& app, std::function<int()>* run);  // data; in data_launcher.cpp
void add_job_commands(CLI::App& app, std::function<int()>* run);   // submit, status, scale, drain, stop
void add_plan_command(CLI::App& app, std::function<int()>* run);   // plan
void add_local_command(CLI::App& app, std::function<int()>* run);  // local

// The exit status for what went wrong: a file that is not there, is damaged or says what cannot be is wrong use.
inline int exit_of(const Error& error) {
  return error.code == Code::kBadInput || error.code == Code::kNotFound || error.code == Code::kCorrupt ? 2 : 1;
}

inline constexpr const char* kExtendHelp =
    "the job file has more steps than the checkpoint's job had: go on to them, with its moments; where the learning "
    "rate falls, optimizer.schedule_steps must say which end counts";
inline constexpr const char* kOtherTermsHelp =
    "the job file has another optimizer or other data than the checkpoint's job had: go on with them, with its "
    "moments; "
    "the outcome says so";

// --profile and --profile-from; `where` says where the trace will lie.
void add_profile_options(CLI::App& command, ProfileSpec& profile, const std::string& where);

}  // namespace regroup::cli
