// journal_reader.hpp: reads what agents write about themselves: DIR/node-*/journal.jsonl, a JSON object a line with
// at_ms, node and event.
#pragma once

#include "api/journal_event.hpp"
#include "api/words.hpp"
#include "base/evidence.hpp"
#include "base/ids.hpp"
#include "base/state_source.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace regroup::cli {

// One line; fields that its event does not have keep their defaults.
struct JournalLine {
  JournalEvent event = JournalEvent::kPlan;
  std::string node;
  std::int64_t at_ms = 0;  // wall clock
  std::string worker;      // text form of the worker's id
  Epoch epoch;
  Step step;
  // committed
  double loss = 0, aux_loss = 0, z_loss = 0, seconds = 0;
  std::int64_t tokens = 0, bad_steps = 0, bad_in_a_row = 0;
  // plan, regrouped
  std::optional<Cause> cause;
  std::string reason;
  std::optional<StateSource> source;
  std::vector<std::string> members;
  int num_members = 0, num_groups = 0;
  std::int64_t detected_at_ms = 0, decided_at_ms = 0;
  bool at_boundary = false;
  double stop_ms = 0, agree_ms = 0, move_ms = 0, first_commit_ms = 0;
  std::int64_t bytes_moved = 0, bytes_from_own_agent = 0, plan_seen_at_ms = 0, steps_lost = 0;
  // worker_ready, worker_exited
  int pid = 0, signal = 0, status = 0;
  bool asked = false;
  // suspicion
  std::string whom;
  std::optional<Evidence> evidence;
  // finished
  std::string weights_sha256;
  std::string text;  // fault, failures
};

// nothing for what is not such a line, or of an event that is not known here.
std::optional<JournalLine> parse_journal_line(const std::string& line);

// Follows one file that may not exist yet, or is made anew, or renamed and begun again; gives whole lines only.
class FileTail {
 public:
  explicit FileTail(std::string path) : path_(std::move(path)) {}
  ~FileTail();
  FileTail(FileTail&& other) noexcept;
  FileTail& operator=(FileTail&&) = delete;
  std::vector<std::string> read_new_lines();

 private:
  [[nodiscard]] bool another_one_is_there() const;
  void read_rest(std::vector<std::string>& lines);

  std::string path_, rest_;
  int fd_ = -1;
  std::int64_t offset_ = 0;
};

// The journals of several agents as one.
class Journals {
 public:
  // From here on: what an earlier run left in the file is not read. Once is enough for each file.
  void follow(const std::string& path);
  std::vector<JournalLine> read_new_lines();  // in order of time

 private:
  std::map<std::string, FileTail> tails_;  // by path
};

}  // namespace regroup::cli
