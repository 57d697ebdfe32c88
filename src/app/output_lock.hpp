// One start at a time writes a run's files.
#pragma once

#include <string>

namespace layerledger {

/// Holds a lock on a file for as long as it lives. The kernel lets go of it when the process ends,
/// however it ends.
class OutputLock {
public:
    /// Makes the file, with its folder, and names this process in it. Throws Error{cannot_create},
    /// which names host and process, where another start has it. Where the file system knows no
    /// locks a warning says so.
    explicit OutputLock(std::string path);
    /// Takes the file away again, and the folders that were made for it if nothing is in them.
    ~OutputLock();
    OutputLock(const OutputLock&) = delete;
    OutputLock& operator=(const OutputLock&) = delete;

private:
    [[nodiscard]] bool acquire();

    std::string path_;
    std::string made_;  // the topmost folder that was made; empty if all were there
    int fd_ = -1;
};

}  // namespace layerledger
