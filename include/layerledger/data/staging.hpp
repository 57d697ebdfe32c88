// Staging: a copy of the chosen classes of a remote data set, made by rsync before training.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "layerledger/config/experiment.hpp"

namespace layerledger {

/// `path` with $NAME and ${NAME} replaced by the environment's values, so that a folder on the
/// node's own disk can be named: "$SLURM_TMPDIR/imagenet". Throws Error{configuration} where a
/// variable is not set or empty; `what` names the setting in the message.
[[nodiscard]] std::string expand_environment(const std::string& path, const std::string& what);

/// What a node does at the moment.
enum class StagingStep : unsigned char {
    asking,     ///< what the remote has, and whether the root is up to date
    waiting,    ///< for another process that stages into the root
    receiving,  ///< files
    writing     ///< what has arrived to the disk, before the set is called whole
};

/// How far a transfer is; written by the thread that stages, read by any other.
struct StagingProgress {
    std::atomic<StagingStep> step{StagingStep::asking};
    std::atomic<std::int64_t> bytes{0};    ///< that have arrived
    std::atomic<std::int64_t> percent{0};  ///< of the set as far as rsync has listed it
};

/// A whole set in data.root.
struct StagedSet {
    std::vector<std::string> classes;    ///< chosen, sorted
    std::int64_t files = 0;              ///< of the set
    std::int64_t bytes = 0;              ///< of the set
    std::uint64_t digest = 0;            ///< over names, sizes and times; in any order
    std::int64_t transferred_files = 0;  ///< now
    std::int64_t transferred_bytes = 0;  ///< sizes of the files transferred now
    double seconds = 0;                  ///< that staging took
    bool is_whole = true;                ///< false: only looked at, and not up to date
};

struct StagingRequest {
    DataSettings settings;   ///< with `root` expanded
    bool only_look = false;  ///< change nothing, find out what a transfer would do
};

/// Makes settings.root hold the chosen classes of settings.remote: train/, val/ and the lists
/// (*.txt,
/// *.csv) beside them. Transfers nothing where the root is up to date, goes on where an earlier
/// start was cut off, and removes from the classes what the remote no longer has. Any number of
/// processes find out at a time that a root is up to date; one at a time transfers, and those that
/// have waited for it take over what it found.
///
/// A marker in the root says that a transfer has begun, or that the set is whole: see
/// `require_whole`. `stop` ends rsync; what has arrived is kept.
///
/// Throws Error: configuration for a remote that cannot be one, a root in it or around it, or a
/// class that is not there;
/// input_missing where the remote cannot be reached or read or falls silent for
/// settings.remote_timeout_seconds; cannot_create where the root cannot be written or its disk is
/// full; unavailable without rsync; interrupted after `stop`.
[[nodiscard]] StagedSet stage(const StagingRequest& request, StagingProgress& progress,
                              const std::stop_token& stop);

/// Throws Error{bad_data} where staging into `root` has begun and not ended.
void require_whole(const std::string& root);

}  // namespace layerledger
