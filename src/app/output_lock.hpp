// One start at a time writes a run's files.
#pragma once

#include <chrono>
#include <string>

namespace layerledger {

/// Holds a lock on a file for as long as it lives. The kernel lets go of it when the process ends,
/// however it ends.
class OutputLock {
public:
    /// Makes the file, with its folder, and names this process in it. Throws Error{cannot_create},
    /// which names host and process, where another start keeps it: a launcher may end a moment
    /// before the ranks that it kills. Where the file system knows no
    /// locks a warning says so.
    explicit OutputLock(std::string path);
    /// Takes the file away again, and the folders that were made for it if nothing is in them.
    ~OutputLock();
    OutputLock(const OutputLock&) = delete;
    OutputLock& operator=(const OutputLock&) = delete;

private:
    [[nodiscard]] bool acquire(std::chrono::steady_clock::time_point deadline);

    std::string path_;
    std::string made_;  // the topmost folder that was made; empty if all were there
    int fd_ = -1;
};

}  // namespace layerledger
