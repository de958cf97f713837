// words.hpp: the enums of plans, records and reports, and their words. The words are frozen. A reader that meets
// another word refuses it with an error that names the field, unless the enum's comment says otherwise.
#pragma once

#include "base/words.hpp"

namespace regroup {

// Why a plan follows another one.
enum class Cause {
  kStart,       // the first plan, or the first after nobody of the last one was left
  kWorkerLost,  // a process ended or is cut off
  kNodeLost,    // its node is gone from etcd, or has started anew
  kSilent,      // no beat came from a worker
  kHang,        // a worker beats, but makes no progress
  kFault,       // a worker said that it cannot go on
  kJoin,        // newcomers
  kDrain,       // nodes that shall leave
  kScale,       // the job is to have fewer nodes
  kBalance,     // redundancy and balance, after a plan made in a hurry
  kLoad,        // experts change places by their load
  kStop,        // the job ends at a step boundary
  kRetry,       // the same workers once more: an attempt at the plan before, or a step in it, was interrupted
};
inline constexpr Words<Cause, 13> kCauseWords{{"start", "worker_lost", "node_lost", "silent", "hang", "fault", "join",
                                               "drain", "scale", "balance", "load", "stop", "retry"}};
inline std::string to_string(Cause cause) { return kCauseWords(cause); }
// Somebody was lost; the plan was made to commit soon, not to be the best.
constexpr bool is_loss(Cause cause) {
  return cause == Cause::kWorkerLost || cause == Cause::kNodeLost || cause == Cause::kSilent || cause == Cause::kHang ||
         cause == Cause::kFault;
}

// What a job does. The last three are outcomes: the job is over.
enum class JobState {
  kUnknown,  // nobody has said anything yet
  kWaiting,
  kStarting,
  kRegrouping,
  kTraining,
  kStopping,
  kFinished,
  kStopped,
  kFailed,
};
inline constexpr Words<JobState, 9> kJobStateWords{
    {"", "waiting", "starting", "regrouping", "training", "stopping", "finished", "stopped", "failed"}};
inline std::string to_string(JobState state) { return kJobStateWords(state); }

// What an agent last said of a job. The record has state and reason in one text: "waiting: for a plan".
enum class ProgressState { kUnknown, kTraining, kWaiting, kFinished, kFailed, kStopped };
inline constexpr Words<ProgressState, 6> kProgressWords{{"", "training", "waiting", "finished", "failed", "stopped"}};
inline std::string to_string(ProgressState state) { return kProgressWords(state); }

enum class WishKind { kScale, kDrain, kStop };
inline constexpr Words<WishKind, 3> kWishWords{{"scale", "drain", "stop"}};
inline std::string to_string(WishKind kind) { return kWishWords(kind); }

// Why a node will go away. A notice with any other word counts as well, as `other`: the node goes all the same.
enum class NoticeKind { kDrain, kSpot, kMaintenance, kOther };
inline constexpr Words<NoticeKind, 4> kNoticeWords{{"drain", "spot", "maintenance", "other"}};
inline std::string to_string(NoticeKind kind) { return kNoticeWords(kind); }

}  // namespace regroup
