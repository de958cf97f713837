#include "cli/checkpoint/checkpoint_commands.hpp"

#include "checkpoint/io/catalog.hpp"
#include "cli/job/progress_line.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

namespace regroup::cli {
namespace {

using nlohmann::ordered_json;

struct Arguments {
  std::string path;
  std::string target;
  std::string dtype = "fp32";
  std::int64_t max_file_bytes = checkpoint::ExportOptions{}.max_file_bytes;
  bool json = false;
};

// `regroup local --dir DIR` keeps them in DIR/checkpoints.
std::string place_of(const std::string& path) {
  const std::string inner = path + "/checkpoints";
  return ::access((path + "/cluster.json").c_str(), F_OK) == 0 && ::access(inner.c_str(), F_OK) == 0 ? inner : path;
}

void print(const ordered_json& out) { std::printf("%s\n", out.dump(2).c_str()); }

int fail(const Arguments& arguments, const char* command, const Error& error) {
  if (arguments.json) print({{"ok", false}, {"code", std::string(name_of(error.code))}, {"error", error.context}});
  std::fprintf(stderr, "regroup checkpoint %s: %s\n", command, error.context.c_str());
  return 1;
}

int list(const Arguments& arguments) {
  if (::access(arguments.path.c_str(), R_OK) != 0)
    return fail(arguments, "ls",
                {Code::kNotFound, arguments.path + " cannot be read: give a job's checkpoint directory"});
  auto found = checkpoint::list_checkpoints(arguments.path);
  if (!found) return fail(arguments, "ls", found.error());
  if (arguments.json) {
    ordered_json out = ordered_json::array();
    for (const checkpoint::ListedCheckpoint& c : *found) {
      ordered_json entry = {{"path", c.path},
                            {"step", c.stored.name.step.value},
                            {"epoch", c.stored.name.epoch.value},
                            {"complete", c.stored.complete},
                            {"bytes", c.bytes}};
      if (c.manifest) entry.update({{"job", c.manifest->info.job}, {"written_at_ms", c.manifest->written_at_ms}});
      if (!c.problem.empty()) entry["problem"] = c.problem;
      out.push_back(std::move(entry));
    }
    print(out);
    return 0;
  }
  if (found->empty())
    std::printf("%s holds no checkpoints\n", arguments.path.c_str());
  else
    std::printf("%10s %8s %10s  %-20s %s\n", "step", "epoch", "MB", "job", "");
  for (const checkpoint::ListedCheckpoint& c : *found)
    std::printf("%10lld %8llu %10.1f  %-20s %s\n", static_cast<long long>(c.stored.name.step.value),
                static_cast<unsigned long long>(c.stored.name.epoch.value), static_cast<double>(c.bytes) / 1e6,
                c.manifest ? c.manifest->info.job.c_str() : "-",
                c.stored.complete ? "complete" : ("not complete: " + c.problem).c_str());
  return 0;
}

int verify(const Arguments& arguments) {
  auto path = checkpoint::resolve_checkpoint(arguments.path);
  if (!path) return fail(arguments, "verify", path.error());
  ProgressLine line;
  auto manifest = checkpoint::verify_checkpoint(*path, shown_in(line, "verified"));
  if (!manifest) return fail(arguments, "verify", manifest.error());
  std::int64_t bytes = 0;
  for (const checkpoint::ManifestFile& file : manifest->files) bytes += file.bytes;
  if (arguments.json)
    print({{"ok", true},
           {"path", *path},
           {"job", manifest->info.job},
           {"step", manifest->info.step.value},
           {"bytes", bytes}});
  else
    std::printf("%s is whole: job %s, step %lld, %.1f MB match their checksums\n", path->c_str(),
                manifest->info.job.c_str(), static_cast<long long>(manifest->info.step.value),
                static_cast<double>(bytes) / 1e6);
  return 0;
}

int digest(const Arguments& arguments) {
  auto path = checkpoint::resolve_checkpoint(arguments.path);
  if (!path) return fail(arguments, "digest", path.error());
  ProgressLine line;
  auto sha256 = checkpoint::digest_checkpoint(*path, shown_in(line, "hashed"));
  if (!sha256) return fail(arguments, "digest", sha256.error());
  if (arguments.json)
    print({{"ok", true}, {"path", *path}, {"weights_sha256", *sha256}});
  else
    std::printf("%s  %s\n", sha256->c_str(), path->c_str());
  return 0;
}

int export_model(const Arguments& arguments) {
  auto path = checkpoint::resolve_checkpoint(arguments.path);
  if (!path) return fail(arguments, "export", path.error());
  ProgressLine line;
  auto bytes = checkpoint::export_checkpoint(
      *path, arguments.target, {arguments.dtype == "bf16", arguments.max_file_bytes}, shown_in(line, "copied"));
  if (!bytes) return fail(arguments, "export", bytes.error());
  if (arguments.json)
    print({{"ok", true}, {"path", *path}, {"target", arguments.target}, {"bytes", *bytes}});
  else
    std::printf("%s holds the model of %s (%.1f MB)\n", arguments.target.c_str(), path->c_str(),
                static_cast<double>(*bytes) / 1e6);
  return 0;
}

}  // namespace

void add_checkpoint_commands(CLI::App& app, std::function<int()>* run) {
  CLI::App* checkpoint = app.add_subcommand("checkpoint", "list, verify, digest and export checkpoints");
  checkpoint->require_subcommand(1);
  auto arguments = std::make_shared<Arguments>();
  const auto add = [&](const char* name, const char* help, const char* what, int (*command)(const Arguments&)) {
    CLI::App* sub = checkpoint->add_subcommand(name, help);
    sub->add_option("PATH", arguments->path, what)->required();
    sub->add_flag("--json", arguments->json, "print the result as JSON");
    sub->callback([run, arguments, command] {
      *run = [arguments, command] {
        arguments->path = place_of(arguments->path);
        return command(*arguments);
      };
    });
    return sub;
  };
  const char* one =
      "one checkpoint (DIR/step-...), or a job's directory, or that of a `regroup local`, for the newest complete "
      "one";
  add("ls", "the checkpoints of a job, newest first", "the job's checkpoint directory", list);
  add("verify", "read every byte and compare with its checksum", one, verify);
  add("digest", "SHA-256 of the weights, as the runtime prints it", one, digest);
  CLI::App* copy =
      add("export", "copy the Hugging Face model alone, verified, into a new directory", one, export_model);
  copy->add_option("TARGET", arguments->target, "the directory to make")->required();
  copy->add_option("--dtype", arguments->dtype,
                   "bf16 (rounded to nearest even) or fp32 (the master weights as they are)")
      ->check(CLI::IsMember({"bf16", "fp32"}))
      ->capture_default_str();
  copy->add_option("--max-file-size", arguments->max_file_bytes,
                   "largest file, as 500MB or 4GiB; a larger tensor has a file of its own")
      ->transform(CLI::AsSizeValue(true))
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 60));
}

}  // namespace regroup::cli
