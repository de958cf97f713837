// journal.hpp: what happened on this node, one JSON object a line in DIR/journal.jsonl: for people, `regroup local` and
// the benchmarks. Appended whole, never rewritten; at 64 MiB it becomes journal.jsonl.1. Any thread.
//
// Every line has at_ms (wall clock), node and event; the reader is cli/local/journal_reader.hpp. A journal that cannot
// be written goes to the log once; nothing else stops.
#pragma once

#include "agent/rotating_file.hpp"
#include "api/keeper_reports.hpp"
#include "api/worker_protocol.hpp"

#include <atomic>
#include <string>

namespace regroup::agent {

class Journal {
 public:
  Journal(const std::string& path, NodeId node);

  void plan(const Plan& plan);
  void refused(const std::string& text);
  void started(const WorkerId& worker, int pid);
  void said(const WorkerId& worker, const FromWorker& message);
  void ended(const WorkerId& worker, int signal, int status, bool asked, const std::string& text);
  void kept(const SnapshotKept& kept);
  void saved(const CheckpointSaved& saved);
  void lease_lost();
  void quits(const std::string& reason);

 private:
  struct Line;
  struct Said;
  void write(const Line& line);
  RotatingFile file_;
  NodeId node_;
  std::atomic<bool> complained_{false};
};

}  // namespace regroup::agent
