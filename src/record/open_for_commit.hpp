// Opening a run file to write into it, beside its readers and never beside another writer.
#pragma once

#include <optional>
#include <string>

#include "disk.hpp"
#include "layerledger/hdf5/file.hpp"

namespace layerledger {

/// Opens the file alone, waiting a moment for a lock to go away; nothing where it stays, or where
/// the file cannot be opened.
[[nodiscard]] std::optional<hdf5::File> try_open_locked(const std::string& path);

/// The file while a commit goes on; the lock outlives it.
struct OpenForCommit {
    std::optional<disk::SharedLock> shared;
    hdf5::File file;
};

/// A reader's lock usually goes away soon; if it stays, the commit goes on beside it, because
/// readers see only what is committed. Another writer is never ignored, and a lock shared with the
/// readers keeps it away meanwhile.
[[nodiscard]] OpenForCommit open_for_commit(const std::string& path);

/// Of an earlier start: a launcher may end a moment before the ranks that it kills.
[[nodiscard]] OpenForCommit open_left_behind(const std::string& path);

}  // namespace layerledger
