#include "coordinator/core/lost_workers.hpp"

#include "coordinator/core/blame.hpp"
#include "coordinator/core/node_evidence.hpp"
#include "coordinator/planner/group_layout.hpp"

#include <algorithm>
#include <optional>

namespace regroup::coordinator {
namespace {

struct Watched {
  WorkerId id;
  bool is_member = false;
  std::optional<Instant> names_itself;  // since when
  std::int64_t named_at_ms = 0;
  std::optional<LostWorker> lost;
};

// What is known about the watched workers, collected by the weight of its source.
class Findings {
 public:
  Findings(const ClusterView& view, const JobRecords& job, const LinkHistory& history, const Now& now)
      : view_(view),
        job_(job),
        plan_(job.plan->value),
        history_(history),
        now_(now),
        heartbeat_(job.spec->value.heartbeat_ms) {}

  LostWorkers weigh() {
    for (const Participant& member : plan_.members) watched_.push_back({.id = member.worker, .is_member = true});
    if (!job_.is_in_force()) {
      for (const Participant& donor : plan_.donors) watched_.push_back({.id = donor.worker});
    }
    std::sort(watched_.begin(), watched_.end(), [](const Watched& a, const Watched& b) { return a.id < b.id; });
    for (const auto& [key, record] : view_.suspects()) read_record(record);
    for (Watched& worker : watched_) from_its_node(worker);
    from_themselves();
    from_peers();
    result_.spoken_epoch = spoken_;
    for (Watched& worker : watched_) {
      if (worker.lost) result_.workers.push_back(std::move(*worker.lost));
    }
    return std::move(result_);
  }

 private:
  struct Voice {
    int reporter;
    int accused;
    Evidence evidence;
    std::int64_t seen_at_ms;
    Instant heard;
    bool ended = false;  // the connection, and it cannot be had again
  };

  int index_of(const WorkerId& id) const {
    const auto found = std::lower_bound(watched_.begin(), watched_.end(), id,
                                        [](const Watched& a, const WorkerId& b) { return a.id < b; });
    return found != watched_.end() && found->id == id ? static_cast<int>(found - watched_.begin()) : -1;
  }

  void blame(Watched& worker, Cause cause, const std::string& what, std::int64_t seen_at_ms, bool agent_speaks) {
    if (worker.lost) {
      worker.lost->agent_speaks = worker.lost->agent_speaks || agent_speaks;
      if (seen_at_ms > 0) worker.lost->detected_at_ms = std::min(worker.lost->detected_at_ms, seen_at_ms);
      return;
    }
    const std::int64_t detected = seen_at_ms > 0 ? std::min(seen_at_ms, now_.wall_ms) : now_.wall_ms;
    worker.lost = LostWorker{worker.id, cause, to_string(worker.id) + ": " + what, detected, agent_speaks};
  }

  static Cause cause_of(Evidence evidence) {
    if (evidence == Evidence::kSilence) return Cause::kSilent;
    if (evidence == Evidence::kHang) return Cause::kHang;
    if (evidence == Evidence::kSelf) return Cause::kFault;
    return Cause::kWorkerLost;
  }

  void from_its_node(Watched& worker) {
    const auto found = evidence_of_node(view_, job_, worker.id, worker.names_itself.has_value(), now_);
    if (found) blame(worker, found->cause, found->what, 0, found->agent_speaks);
  }

  bool epoch_counts(Epoch epoch) const { return epoch == plan_.epoch || (job_.is_pending() && epoch == plan_.parent); }

  void read_record(const Seen<SuspectRecord>& record) {
    const auto as_worker = worker_named(record.value.reporter);
    const NodeId as_node(record.value.reporter);
    const int reporter = as_worker ? index_of(*as_worker) : -1;  // an agent speaks of its own workers alone
    const bool current = epoch_counts(record.value.epoch);
    if (reporter >= 0 && current) spoken_ = std::max(spoken_, record.value.epoch);
    for (const Suspicion& suspicion : record.value.suspicions) {
      const int accused = index_of(suspicion.whom);
      if (accused < 0) continue;
      Watched& worker = watched_[static_cast<std::size_t>(accused)];
      if (job_.finished.contains(suspicion.whom) && suspicion.evidence == Evidence::kExit) continue;
      if (!as_worker && as_node == suspicion.whom.node) {
        blame(worker, cause_of(suspicion.evidence), to_string(suspicion.evidence) + " (says its agent)",
              suspicion.seen_at_ms, true);
      } else if (as_worker == suspicion.whom) {
        if (!current) continue;
        worker.names_itself = view_.suspected_since(record.value, suspicion, now_);
        worker.named_at_ms = suspicion.seen_at_ms;
      } else if (current && reporter >= 0) {
        voices_.push_back({reporter, accused, suspicion.evidence, suspicion.seen_at_ms,
                           view_.suspected_since(record.value, suspicion, now_), suspicion.evidence == Evidence::kEof});
      }
    }
  }

  // A worker that finds a fault in what it computed names itself. Where all members do, they have seen one fault.
  void from_themselves() {
    const auto named = [](const Watched& worker) { return worker.names_itself.has_value() && !worker.lost; };
    if (std::none_of(watched_.begin(), watched_.end(), named)) return;
    const bool by_all = std::all_of(watched_.begin(), watched_.end(), [&](const Watched& worker) {
      return named(worker) || worker.lost || !worker.is_member;
    });
    for (Watched& worker : watched_) {
      if (!named(worker)) continue;
      const WorkerRecord* record = view_.slot_of(worker.id);
      const std::string what = record != nullptr && !record->text.empty() ? ": " + record->text : "";
      if (by_all) {
        result_.fault_of_all = "a fault that all members see" + what;
        return;
      }
      if (now_.at - *worker.names_itself >= 5 * heartbeat_) {
        blame(worker, Cause::kFault, "self (says itself)" + what, worker.named_at_ms, false);
      } else {
        result_.undecided = true;
      }
    }
  }

  // A link that came back is no accusation, and a peer that could not be connected to yet is none for a while.
  void sort_out_links() {
    std::erase_if(voices_, [&](Voice& voice) {
      if (voice.evidence == Evidence::kUnreachable) {
        const bool waits = now_.at - voice.heard < 10 * heartbeat_;
        result_.undecided = result_.undecided || waits;
        return waits;
      }
      if (voice.evidence != Evidence::kLink) return false;
      const WorkerId &a = watched_[static_cast<std::size_t>(voice.reporter)].id,
                     &b = watched_[static_cast<std::size_t>(voice.accused)].id;
      const BrokenLink link{std::min(a, b), std::max(a, b)};
      if (history_.is_hopeless(link, plan_.epoch, now_.at)) {
        voice.evidence = Evidence::kEof;
        voice.ended = false;  // both ends are alive: both are heard before one of them goes
        return false;
      }
      result_.links.push_back(link);
      return true;
    });
  }

  void from_peers() {
    sort_out_links();
    if (voices_.empty()) return;
    BlameInput input;
    input.num_suspects = static_cast<int>(watched_.size());
    input.bytes_held.assign(watched_.size(), 0);
    for (const Watched& worker : watched_) input.certain.push_back(worker.lost.has_value());
    const std::vector<std::int64_t> bytes =
        mutual() ? planning::bytes_held(job_.spec->value.model, plan_.placement, plan_.members.size())
                 : std::vector<std::int64_t>{};
    for (std::size_t rank = 0; rank < bytes.size(); ++rank) {
      input.bytes_held[static_cast<std::size_t>(index_of(plan_.members[rank].worker))] = bytes[rank];
    }
    for (const Voice& voice : voices_) {
      input.accusations.push_back({voice.reporter, voice.accused, now_.at - voice.heard < 5 * heartbeat_, voice.ended});
    }
    const Blame verdict = find_guilty(input);
    result_.undecided = result_.undecided || verdict.undecided;
    for (int guilty : verdict.guilty) {
      Watched& worker = watched_[static_cast<std::size_t>(guilty)];
      if (input.certain[static_cast<std::size_t>(guilty)]) continue;
      std::optional<Evidence> evidence;
      std::int64_t seen = 0;
      int count = 0;
      for (const Voice& voice : voices_) {
        const bool about = voice.accused == guilty || (voice.reporter == guilty);
        if (!about) continue;
        if (!evidence || voice.accused == guilty) evidence = voice.evidence;
        if (seen == 0 || (voice.seen_at_ms > 0 && voice.seen_at_ms < seen)) seen = voice.seen_at_ms;
        count += voice.accused == guilty ? 1 : 0;
      }
      blame(worker, cause_of(*evidence),
            to_string(*evidence) + " (" +
                (count > 0 ? "reported by " + std::to_string(count) : "it alone accuses others") + ")",
            seen, false);
    }
  }

  bool mutual() const {
    return std::any_of(voices_.begin(), voices_.end(), [&](const Voice& a) {
      return std::any_of(voices_.begin(), voices_.end(), [&](const Voice& b) { return a.accused == b.reporter; });
    });
  }

  const ClusterView& view_;
  const JobRecords& job_;
  const Plan& plan_;
  const LinkHistory& history_;
  const Now& now_;
  const Span heartbeat_;
  LostWorkers result_;
  std::vector<Watched> watched_;
  std::vector<Voice> voices_;
  Epoch spoken_;
};

}  // namespace

LostWorkers find_lost_workers(const ClusterView& view, const JobRecords& job, const LinkHistory& history,
                              const Now& now) {
  if (!job.plan) return {};
  return Findings(view, job, history, now).weigh();
}

}  // namespace regroup::coordinator
