// bench-checkpoint [--json] [--dir DIR] [--rounds N]: 1.6 GB of training state over 4 writers, saved and resumed on 3.
//
// Each round, in a fresh directory: the copy into warm memory (the only pause of training), the save until durable, a
// plain sequential O_DIRECT write of as many bytes (which of the two comes first alternates), then a cold resume by 3
// processes and a plain O_DIRECT read of the same files. Medians, least and most over the rounds, and whether the
// medians are what they shall be.
#include "base/now.hpp"
#include "bench/checkpoint/processes.hpp"
#include "bench/checkpoint/raw_disk.hpp"
#include "bench/command_line.hpp"
#include "checkpoint/core/file_plan.hpp"
#include "checkpoint/io/posix_file.hpp"
#include "checkpoint/io/reader.hpp"
#include "checkpoint/io/save.hpp"

#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

namespace regroup::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kWriters = 4;
constexpr int kReaders = 3;
constexpr double kMostPause = 0.2, kLeastShare = 0.8, kMostRead = 1.01;  // of the medians

ModelShape shape() {
  ModelShape s;
  s.vocab_size = 32000;
  s.hidden_size = 512;
  s.intermediate_size = 1280;
  s.num_hidden_layers = 6;
  s.num_attention_heads = 8;
  s.num_key_value_heads = 8;
  s.head_dim = 64;
  s.num_local_experts = 8;
  s.num_experts_per_tok = 2;
  s.max_position_embeddings = 2048;
  return s;
}

// What owner `owner` of `owners` keeps: an equal cut of every dense unit, whole experts in turn.
std::vector<checkpoint::PartBuffer> owned_by(const std::vector<Unit>& units, int owner, int owners) {
  std::vector<checkpoint::PartBuffer> owned;
  int expert = 0;
  for (const Unit& unit : units) {
    if (unit.is_expert()) {
      if (expert++ % owners == owner) owned.push_back({unit.index, {0, kBlocksPerUnit}, nullptr});
    } else {
      owned.push_back({unit.index, {kBlocksPerUnit * owner / owners, kBlocksPerUnit * (owner + 1) / owners}, nullptr});
    }
  }
  return owned;
}

// Memory of its own for all of them, one after the other.
std::int64_t place(const std::vector<Unit>& units, std::vector<checkpoint::PartBuffer>& owned, std::byte* memory) {
  std::int64_t at = 0;
  for (checkpoint::PartBuffer& buffer : owned) {
    if (memory) buffer.data = memory + at;
    at += buffer.blocks.size() * units[static_cast<std::size_t>(buffer.unit)].block_elements * 4 *
          checkpoint::kStateArrays;
  }
  return at;
}

std::byte* map_memory(std::int64_t bytes) {
  void* memory = ::mmap(nullptr, static_cast<std::size_t>(bytes), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("bench-checkpoint: mmap");
    std::exit(1);
  }
  return static_cast<std::byte*>(memory);
}

struct Figures {
  std::map<std::string, std::vector<double>> of;
  void add(const std::string& name, double figure) { of[name].push_back(figure); }
  [[nodiscard]] nlohmann::ordered_json summary(const std::string& name) const {
    auto sorted = of.at(name);
    std::sort(sorted.begin(), sorted.end());
    return {{"median", sorted[sorted.size() / 2]}, {"least", sorted.front()}, {"most", sorted.back()}};
  }
};

void measure_round(int round, const std::string& root, const checkpoint::FilePlan& plan,
                   const std::vector<std::byte*>& live, const std::vector<std::byte*>& arenas, Figures& figures) {
  checkpoint::SaveRequest request{root, {}, 0, kWriters, {}, {}};
  request.info.job = "bench";
  request.info.shape = plan.shape();
  request.info.step = Step{round};
  request.info.epoch = Epoch{1};
  std::vector<Child> copiers, writers, readers;
  for (int w = 0; w < kWriters; ++w) {
    auto owned = owned_by(plan.units(), w, kWriters);
    const std::int64_t bytes = place(plan.units(), owned, arenas[static_cast<std::size_t>(w)]);
    auto* from = live[static_cast<std::size_t>(w)];
    auto* to = arenas[static_cast<std::size_t>(w)];
    const auto touch = [=] {  // page tables, as a process that lives on has them
      for (std::int64_t i = 0; i < bytes; i += 4096) to[i] = from[i];
    };
    copiers.push_back({touch, [=] {
                         const auto start = Clock::now();
                         std::memcpy(to, from, static_cast<std::size_t>(bytes));
                         return seconds_since(start);
                       }});
    checkpoint::SaveRequest mine = request;
    mine.part = w;
    for (const checkpoint::PartBuffer& buffer : owned)
      mine.entries.push_back({buffer.unit, buffer.blocks, buffer.data});
    writers.push_back({touch, [mine] {
                         value(checkpoint::write_part(mine));
                         if (mine.part == 0) value(commit(mine, std::chrono::minutes(5)));
                         return 0.0;
                       }});
  }
  const std::string raw_path = root + "/raw";
  std::int64_t file_bytes = 0;
  for (const checkpoint::PlannedFile& file : plan.files()) file_bytes += file.bytes;
  const auto pause = run_together(copiers).values;
  figures.add("pause_s", *std::max_element(pause.begin(), pause.end()));
  double raw = 0, durable = 0;
  for (int turn = 0; turn < 2; ++turn) {
    ::sync();
    if ((turn + round) % 2 == 0)
      raw = raw_write(raw_path, file_bytes);
    else
      durable = run_together(writers).seconds;
  }
  figures.add("durable_s", durable);
  figures.add("raw_write_s", raw);
  figures.add("share_of_raw_write", raw / durable);

  const std::string directory = root + "/" + fs::directory_iterator(root)->path().filename().string();
  forget_pages(directory);
  for (int r = 0; r < kReaders; ++r) {
    const auto owned = std::make_shared<std::vector<checkpoint::PartBuffer>>(owned_by(plan.units(), r, kReaders));
    readers.push_back({[&, owned] { place(plan.units(), *owned, map_memory(place(plan.units(), *owned, nullptr))); },
                       [&, owned] {
                         auto reader = value(checkpoint::CheckpointReader::open(directory));
                         value(reader->read(*owned));
                         return static_cast<double>(reader->bytes_read());
                       }});
  }
  const Outcome resume = run_together(readers);
  double bytes_read = 0;
  for (double bytes : resume.values) bytes_read += bytes;
  figures.add("resume_s", resume.seconds);
  figures.add("read_over_state", bytes_read / static_cast<double>(plan.state_bytes()));
  forget_pages(directory);
  figures.add("raw_read_s", raw_read(directory, plan));
  fs::remove_all(directory);
}

int run(const std::string& parent, int rounds, bool json) {
  const checkpoint::FilePlan plan = value(checkpoint::FilePlan::make(shape()));
  std::vector<std::byte*> live, arenas;
  for (int w = 0; w < kWriters; ++w) {
    auto owned = owned_by(plan.units(), w, kWriters);
    const std::int64_t bytes = place(plan.units(), owned, nullptr);
    live.push_back(map_memory(bytes));
    arenas.push_back(map_memory(bytes));
    auto* words = reinterpret_cast<std::uint32_t*>(live.back());
    for (std::int64_t i = 0; i < bytes / 4; ++i)
      words[i] = 0x3c000000U | (static_cast<std::uint32_t>(i) * 2654435761U >> 9);
  }
  std::string root = parent + "/bench-checkpoint-XXXXXX";
  if (!::mkdtemp(root.data())) value(Result<void>(checkpoint::file_error("make a directory in", parent, errno)));
  Figures figures;
  for (int round = 0; round < rounds; ++round) measure_round(round, root, plan, live, arenas, figures);
  fs::remove_all(root);

  nlohmann::ordered_json out = {
      {"state_bytes", plan.state_bytes()}, {"writers", kWriters}, {"readers", kReaders}, {"rounds", rounds}};
  const char* names[] = {"pause_s",  "durable_s",  "raw_write_s",    "share_of_raw_write",
                         "resume_s", "raw_read_s", "read_over_state"};
  for (const char* name : names) out[name] = figures.summary(name);
  const bool pause = out["pause_s"]["median"].get<double>() <= kMostPause,
             share = out["share_of_raw_write"]["median"].get<double>() >= kLeastShare,
             read = out["read_over_state"]["median"].get<double>() <= kMostRead;
  out["targets"] = {{"pause_s", {{"at_most", kMostPause}, {"met", pause}}},
                    {"share_of_raw_write", {{"at_least", kLeastShare}, {"met", share}}},
                    {"read_over_state", {{"at_most", kMostRead}, {"met", read}}}};
  out["met"] = pause && share && read;
  if (json) {
    std::printf("%s\n", out.dump(2).c_str());
    return 0;
  }
  std::printf("%.2f GB over %d writers, resumed on %d, %d rounds in %s\n",
              static_cast<double>(plan.state_bytes()) / 1e9, kWriters, kReaders, rounds, parent.c_str());
  std::printf("%-20s %10s %10s %10s\n", "", "median", "least", "most");
  for (const char* name : names)
    std::printf("%-20s %10.3f %10.3f %10.3f\n", name, out[name]["median"].get<double>(),
                out[name]["least"].get<double>(), out[name]["most"].get<double>());
  for (const auto& [name, target] : out["targets"].items()) {
    const bool most = target.contains("at_most");
    std::printf("%s %s %.2f: %s\n", name.c_str(),
                most ? "<=" : ">=", target[most ? "at_most" : "at_least"].get<double>(),
                target["met"].get<bool>() ? "met" : "not met");
  }
  return 0;
}

}  // namespace
}  // namespace regroup::bench

int main(int argc, char** argv) {
  bool json = false;
  int rounds = 5;
  std::string directory = ".";
  CLI::App app{"1.6 GB of training state over 4 writers: saved, and resumed on 3; against plain writing and reading."};
  regroup::bench::add_json(app, json);
  regroup::bench::add_count(app, "--rounds", rounds, "of each measurement");
  app.add_option("--dir", directory, "where a directory is made: the disk to measure")->capture_default_str();
  if (const auto ended = regroup::bench::status_of(app, argc, argv)) return *ended;
  return regroup::bench::run(directory, rounds, json);
}
