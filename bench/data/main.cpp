// bench-data: MB/s of text, per core, that become tokens with Mixtral's tokenizer: SentencePiece alone, ours, and the
// whole of `regroup data prepare`; and reading back.
#include "base/now.hpp"
#include "bench/command_line.hpp"
#include "moe/data/dataset.hpp"
#include "moe/data/prepare/prepare.hpp"
#include "moe/data/prepare/sentencepiece_tokenizer.hpp"

#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

namespace {

using namespace regroup;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

struct Took {
  double wall = 0, cpu = 0;
};

// The best of three: the machine has other things to do.
Took time_of(const std::function<void()>& work) {
  Took best{1e9, 1e9};
  for (int i = 0; i < 3; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const double cpu = cpu_seconds();
    work();
    best.wall = std::min(best.wall, seconds_since(start));
    best.cpu = std::min(best.cpu, cpu_seconds() - cpu);
  }
  return best;
}

// The King James Bible, one verse a line.
std::string english() {
  std::string text;
  FILE* pipe = ::popen("bible -f Gen1:1-Rev22:21 < /dev/null", "r");
  if (pipe == nullptr) return text;
  char buffer[65536];
  for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
  ::pclose(pipe);
  return text;
}

// Headers and scripts as they lie on this machine.
std::string technical(std::size_t bytes) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const char* folder : {"/usr/include", "/usr/share/perl", "/usr/lib/python3"})
    for (fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, error), end;
         !error && at != end; at.increment(error))
      if (const auto ending = at->path().extension();
          at->is_regular_file(error) &&
          (ending == ".h" || ending == ".hpp" || ending == ".py" || ending == ".pod" || ending == ".pm"))
        paths.push_back(at->path());
  std::sort(paths.begin(), paths.end());
  std::string text;
  for (std::size_t i = 0; i < paths.size() && text.size() < bytes; i += 7) {
    std::ifstream in(paths[i], std::ios::binary);
    text.append(std::istreambuf_iterator<char>(in), {});
  }
  return text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (end > at) lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

}  // namespace

int main(int argc, char** argv) {
  bool as_json = false;
  CLI::App app{
      "MB/s of text, per core, that become tokens with Mixtral's tokenizer (REGROUP_MIXTRAL_TOKENIZER): SentencePiece "
      "alone, ours, and the whole of `regroup data prepare`; and reading back."};
  bench::add_json(app, as_json);
  if (const auto ended = bench::status_of(app, argc, argv)) return *ended;
  const char* model = std::getenv("REGROUP_MIXTRAL_TOKENIZER");
  if (model == nullptr) {
    std::fprintf(stderr, "bench-data: REGROUP_MIXTRAL_TOKENIZER is not set; ./dev bench data sets it\n");
    return 1;
  }
  const auto ours = sentencepiece_tokenizer(model), its = sentencepiece_tokenizer(model, false);
  if (!ours || !its) {
    std::fprintf(stderr, "bench-data: %s\n", (ours ? its : ours).error().context.c_str());
    return 1;
  }
  std::string folder = (fs::temp_directory_path() / "bench-data-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return 1;

  Json out;
  for (const auto& [name, text] : {std::pair{"english", english()}, std::pair{"source code", technical(4 << 20)}}) {
    if (text.empty()) continue;
    const std::vector<std::string> lines = lines_of(text);
    const double mb = static_cast<double>(text.size()) / 1e6;
    std::vector<std::int32_t> tokens[2];
    double rate[2];
    for (const int which : {0, 1}) {
      const Took took = time_of([&, which = which] {
        const auto encoder = (which == 0 ? *its : *ours)->encoder();
        tokens[which].clear();
        for (const std::string& line : lines) encoder->encode(line, true, tokens[which]);
      });
      rate[which] = mb / took.cpu;
    }
    if (tokens[0] != tokens[1]) {
      std::fprintf(stderr, "bench-data: the ids differ\n");
      return 1;
    }

    PrepareOptions options;  // the command itself, over ten times as much
    options.inputs = {folder + "/in.jsonl"};
    options.prefix = folder + "/out";
    options.tokenizer = *ours;
    {
      std::ofstream file(options.inputs[0], std::ios::binary);
      for (int i = 0; i < 10; ++i)
        for (std::size_t at = 0; at < lines.size(); at += 50) {  // documents of some thousand bytes
          std::string document;
          for (std::size_t j = at; j < std::min(at + 50, lines.size()); ++j) document += lines[j] + "\n";
          file << nlohmann::json{{"text", document}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
               << "\n";
        }
    }
    Json row = {{"text", name},
                {"mb", mb},
                {"bytes_per_token", mb * 1e6 / static_cast<double>(tokens[0].size())},
                {"sentencepiece_mb_per_core_second", rate[0]},
                {"ours_mb_per_core_second", rate[1]}};
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    for (const int threads : {1, cores}) {
      options.threads = threads;
      std::int64_t bytes = 0;
      const Took took = time_of([&] { bytes = prepare(options).value().text_bytes; });
      row["prepare_" + std::to_string(threads) + (threads == 1 ? "_thread" : "_threads")] = {
          {"mb_per_second", static_cast<double>(bytes) / 1e6 / took.wall},
          {"mb_per_core_second", static_cast<double>(bytes) / 1e6 / took.cpu}};
      if (cores == 1) break;
    }
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    row["peak_memory_mb"] = usage.ru_maxrss / 1024;

    const auto data = Dataset::open(options.prefix, 32000, 2048, 1).value();
    std::vector<std::int64_t> sequence(2049);
    std::int64_t samples = 0;
    const Took read = time_of([&] {
      samples = 0;
      for (std::int64_t i = 0; i < 2000; ++i, ++samples) data->fill(i, sequence).value();
    });
    row["read_million_tokens_per_second"] = static_cast<double>(samples) * 2048 / 1e6 / read.wall;
    out.push_back(row);
  }
  fs::remove_all(folder);
  if (as_json) {
    std::printf("%s\n", out.dump(2).c_str());
    return 0;
  }
  for (const Json& row : out) {
    std::printf("%s (%.1f MB, %.2f bytes a token)\n", row["text"].get<std::string>().c_str(), row["mb"].get<double>(),
                row["bytes_per_token"].get<double>());
    std::printf("  SentencePiece, line by line     %8.1f MB/s a core\n",
                row["sentencepiece_mb_per_core_second"].get<double>());
    std::printf("  ours, the same ids              %8.1f MB/s a core\n", row["ours_mb_per_core_second"].get<double>());
    for (const auto& [key, value] : row.items())
      if (key.rfind("prepare_", 0) == 0)
        std::printf("  %-30s  %8.1f MB/s, %.1f a core (JSONL, 10 times the text)\n", key.c_str(),
                    value["mb_per_second"].get<double>(), value["mb_per_core_second"].get<double>());
    std::printf("  reading                         %8.1f million tokens/s; peak memory so far %lld MB\n",
                row["read_million_tokens_per_second"].get<double>(),
                static_cast<long long>(row["peak_memory_mb"].get<long>()));
  }
  return 0;
}
